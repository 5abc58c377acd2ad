"""The three impure things a decision may need, carried openly."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from swarmd.model.instant import Instant


class Ids(Protocol):
    """A source of fresh object ids."""

    def new(self) -> str: ...


class Rng(Protocol):
    """The part of `random.Random` decisions may use."""

    def random(self) -> float: ...
    def randrange(self, start: int, stop: int) -> int: ...


class Env(NamedTuple):
    """What a decision may know besides its view: the time, fresh ids, chance.

    `monotonic_ns` is a clock that only measures durations, for waits on which safety depends; where
    it is not given, `now` takes its place.
    """

    now: Instant
    ids: Ids
    rng: Rng
    monotonic_ns: int | None = None

    @property
    def steady_ns(self) -> int:
        return self.now if self.monotonic_ns is None else self.monotonic_ns
