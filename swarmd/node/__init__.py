"""One node of a swarm: configuration, identity, the daemon that wires all parts together."""
