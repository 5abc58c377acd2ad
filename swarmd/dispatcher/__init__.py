"""Work for the agents, and word from them (docs/design/dispatcher.md)."""
