"""Whole swarms in one process, under virtual time, from one seed (docs/design/simulation.md)."""
