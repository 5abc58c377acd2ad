"""Pure decisions of the agent: no clock, no sockets, no files."""
