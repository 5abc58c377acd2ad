"""The vocabulary of limits: a range per field, with the sentence a violation gets."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from swarmd.model.errors import invalid
from swarmd.model.instant import HOUR, SECOND, format_duration

INT64_MAX = 2**63 - 1
MEBIBYTE = 1024 * 1024

Number = int | float


def _plain(value: Number) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def as_duration(value: Number) -> str:
    return format_duration(int(value))


def as_cpus(value: Number) -> str:
    return f"{value / 1_000_000_000:g} CPUs"


def as_bytes(value: Number) -> str:
    return f"{value / MEBIBYTE:g} MiB" if value % 1024 == 0 else f"{value} bytes"


class Limit(NamedTuple):
    """The closed range a field's value must lie in; `zero` also allows 0, meaning "not asked"."""

    field: str
    low: Number
    high: Number
    zero: bool = False
    show: Callable[[Number], str] = _plain

    def check(self, value: Number | None, *, within: str = "") -> None:
        """Refuse a value outside the range; an absent one is fine.

        Args:
            within: the message the field belongs to, for fields that occur in several places.
        """
        if value is None or (self.zero and value == 0):
            return
        if self.low <= value <= self.high:  # also false for a number that is no number
            return
        name = f"{within}.{self.field}" if within else self.field
        raise invalid(f"{name} is {self.show(value)}, but {self.rule}")

    @property
    def rule(self) -> str:
        none = "0 (none) or " if self.zero else ""
        if self.high == INT64_MAX:
            return f"must be {none}at least {self.show(self.low)}"
        return f"must be {none}between {self.show(self.low)} and {self.show(self.high)}"


# A replica count beyond this is a typing error: it would fill the leader's memory with tasks.
REPLICAS = Limit("replicas", 0, 100_000)
COMPLETIONS = Limit("total_completions", 0, 100_000)
CONCURRENT = Limit("max_concurrent", 0, 100_000)
RUNS_KEPT = Limit("runs_kept", 0, 1_000)
STARTING_DEADLINE = Limit("starting_deadline", 0, INT64_MAX, show=as_duration)
# A shorter lease would not outlast the change of a leader, and end tasks for nothing.
LEASE = Limit("stateful.lease", 5 * SECOND, HOUR, show=as_duration)
NANO_CPUS = Limit("nano_cpus", 1_000_000, INT64_MAX, zero=True, show=as_cpus)
MEMORY_BYTES = Limit("memory_bytes", 4 * MEBIBYTE, INT64_MAX, zero=True, show=as_bytes)
PIDS = Limit("pids", 0, INT64_MAX)
SWAPPINESS = Limit("memory_swappiness", 0, 100)
RESTART_DELAY = Limit("restart.delay", 0, INT64_MAX, show=as_duration)
RESTART_MAX_DELAY = Limit("restart.max_delay", 0, INT64_MAX, show=as_duration)
RESTART_WINDOW = Limit("restart.window", 0, INT64_MAX, show=as_duration)
RESTART_ATTEMPTS = Limit("restart.max_attempts", 0, INT64_MAX)
MIN_AVAILABLE = Limit("min_available", 0, 100_000)
UPDATE_PARALLELISM = Limit("parallelism", 0, INT64_MAX)
UPDATE_DELAY = Limit("delay", 0, INT64_MAX, show=as_duration)
UPDATE_MONITOR = Limit("monitor", 0, INT64_MAX, show=as_duration)
UPDATE_TASK_TIMEOUT = Limit("task_timeout", 0, INT64_MAX, show=as_duration)
UPDATE_RATIO = Limit("max_failure_ratio", 0.0, 1.0)
DRAIN_TIMEOUT = Limit("drain_timeout", 0, INT64_MAX, show=as_duration)
STOP_GRACE_PERIOD = Limit("stop_grace_period", 0, INT64_MAX, show=as_duration)
MAX_REPLICAS_PER_NODE = Limit("placement.max_replicas", 0, INT64_MAX)
FORCE_UPDATE = Limit("force_update", 0, INT64_MAX)
GENERIC_COUNT = Limit("value", 1, INT64_MAX)
# Below this a node is better drained, beyond it the reservations say nothing any more.
OVERSELL = Limit("ratio", 0.01, 100.0, zero=True)
TARGET_PORT = Limit("target_port", 1, 65_535)
PUBLISHED_PORT = Limit("published_port", 0, 65_535)
SPEC_BYTES = Limit("the encoded service spec", 0, MEBIBYTE, show=as_bytes)
PRIORITY = Limit("priority", -1_000_000, 1_000_000)
MIN_AVAILABLE = Limit("min_available", 0, 1_000_000)
