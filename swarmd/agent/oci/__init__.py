"""The OCI runtime configuration of a task: pure functions from spec and image to a document."""
