"""The pure decisions that turn specs into tasks on nodes (docs/design/orchestrator.md)."""
