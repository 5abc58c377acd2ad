"""Which node runs a task, and in words why none can."""
