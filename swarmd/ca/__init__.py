"""Certificates: the root of trust, node identities, join tokens, and the files that keep them.

Design note: docs/design/ca.md.
"""
