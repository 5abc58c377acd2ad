"""swarmd: swarm mode in Python, one daemon per node."""

__version__ = "0.1.0"
