"""The name server that every task finds at 127.0.0.11, port 53."""
