"""Cluster-wide numbers handed to services: published ports."""
