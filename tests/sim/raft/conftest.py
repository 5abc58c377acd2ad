"""These tests run with unpickling forbidden: no path may lead there."""

from collections.abc import Iterator

import pysyncobj.pickle
import pytest


@pytest.fixture(autouse=True)
def _no_unpickling(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    def refuse(*args: object, **kwargs: object) -> object:
        raise AssertionError("something was about to be unpickled")

    if "stock" in request.node.nodeid:
        # The unmodified core cannot do without.
        yield
        return
    for name in ("loads", "load", "dumps", "dump"):
        if hasattr(pysyncobj.pickle, name):
            monkeypatch.setattr(pysyncobj.pickle, name, refuse)
    yield
