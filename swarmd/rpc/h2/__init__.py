"""HTTP/2 as gRPC uses it, without I/O: bytes and the time in, events and bytes out.

`connection.Connection` is the protocol in either role. Nothing in this package opens a socket,
reads a clock or starts a task; the shells are `swarmd.rpc.server_connection` and
`swarmd.rpc.client_connection`. Design note: docs/design/rpc.md.
"""
