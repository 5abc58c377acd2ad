"""Balancing by the kernel's nftables: virtual addresses in each task's namespace, and the mesh."""
