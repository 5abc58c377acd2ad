"""Encrypted networks: what carries their packets between nodes, and keeps them from showing."""
