"""Balancing by the kernel's IPVS: virtual addresses in each task's namespace."""
