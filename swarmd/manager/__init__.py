"""The manager half of a node: writes, the leader's engine, services for nodes and clients."""
