"""What published ports and virtual addresses can be balanced by."""

from __future__ import annotations

NFT, IPVS, PROXY = BALANCERS = ("nft", "ipvs", "proxy")


def preference(wanted: str) -> tuple[str, ...]:
    """In which order to look for one that works; `wanted` first, unless it is empty.

    IPVS costs a hop more than nftables, so it is used when asked for. The proxy works everywhere.
    """
    return tuple(dict.fromkeys((wanted or NFT, NFT, PROXY)))
