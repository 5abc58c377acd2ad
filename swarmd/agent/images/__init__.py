"""Images: named, fetched, checked and unpacked; see docs/design/containers.md.

`manifest` and `auth` are pure; `content`, `unpack` and `store` speak to containerd,
`archive` reads what `docker save` and its kin write, `registry` speaks to registries.
"""
