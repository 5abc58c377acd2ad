"""Private keys and signing requests of many nodes, made ahead of time on all cores."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import NamedTuple

from swarmd.ca.x509 import generate_key, make_request


class KeyPair(NamedTuple):
    """What a node makes by itself before it joins."""

    key_pem: bytes
    csr: bytes


def make_pair(_number: int) -> KeyPair:
    key_pem = generate_key()
    return KeyPair(key_pem, make_request(key_pem))


def make_pairs(count: int) -> list[KeyPair]:
    """`count` fresh P-256 keys, each with its request."""
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as workers:
        return list(workers.map(make_pair, range(count), chunksize=32))
