"""Namespaces, netlink, nftables, connection tracking: a small module for each of them."""
