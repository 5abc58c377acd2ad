"""These tests run with unpickling forbidden: no path may lead there."""

import pysyncobj.pickle
import pytest


@pytest.fixture(autouse=True)
def _no_unpickling(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **kwargs: object) -> object:
        raise AssertionError("something was about to be unpickled")

    for name in ("loads", "load", "dumps", "dump"):
        if hasattr(pysyncobj.pickle, name):
            monkeypatch.setattr(pysyncobj.pickle, name, refuse)
