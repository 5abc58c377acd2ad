"""The replicated tables: read through a `View`, changed only by applying log entries."""
