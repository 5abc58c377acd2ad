"""What the dispatcher decides, without I/O: liveness, differences, batches."""
