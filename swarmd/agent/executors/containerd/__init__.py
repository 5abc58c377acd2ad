"""The executor that runs tasks as OCI containers; see docs/design/containers.md.

`installation` says whether the node can, `engine` keeps a containerd running, `client` speaks to
it, `executor` and `controller` bring tasks up and down, `network` connects them to the node.
"""
