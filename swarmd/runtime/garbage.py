"""Leaving what lives long out of garbage collections.

A full collection looks at every container there is and holds all threads meanwhile: 100 to 200 ms
for the code of a manager alone, some 15 ms more for a swarm of 30,000 tasks. Code never becomes
garbage, and what has been there for a while hardly does; so a daemon leaves its code out, and
whoever builds up or works on something large has collections look only at what comes after it.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

# Containers made, less those freed, between two collections of the youngest. CPython's 700 suits
# scripts: a daemon that answers a few calls at once passes it many times a second.
YOUNG = 5_000

_depth = 0
_code_left_out = False


def leave_out_code() -> None:
    """Leave what exists now, modules above all, out of collections for good.

    To be called when they have been loaded and little else has; garbage that is in cycles by then
    is kept.
    """
    global _code_left_out
    _code_left_out = True
    gc.set_threshold(YOUNG, *gc.get_threshold()[1:])
    gc.freeze()


@contextmanager
def present_left_out() -> Iterator[None]:
    """Leave what exists now out of collections; the last one to end lets all be looked at again.

    Garbage in cycles that exists already is kept until then. Where code is left out, the end is
    one full collection, after which what is left is left out: the code can't be told from the rest.
    """
    global _depth
    _depth += 1
    gc.freeze()
    try:
        yield
    finally:
        _depth -= 1
        if not _depth:
            gc.unfreeze()
            if _code_left_out:
                gc.collect()
                gc.freeze()
