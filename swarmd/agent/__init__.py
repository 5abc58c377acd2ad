"""The agent: runs the tasks its node is assigned and says how they are doing."""
