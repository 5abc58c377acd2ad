"""The wire: generated messages, our own HTTP/2 gRPC server, and clients.

Design note: docs/design/rpc.md.
"""
