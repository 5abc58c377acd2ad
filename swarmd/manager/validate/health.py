"""Health checks: kinds of probes, and times in which one can be made."""

from __future__ import annotations

import re

from swarmd.manager.validate.limits import INT64_MAX, Limit, as_duration
from swarmd.model.errors import invalid
from swarmd.model.instant import MILLISECOND
from swarmd.model.spec import HealthConfig

KINDS = ("NONE", "CMD", "CMD-SHELL", "HTTP", "TCP")
PORT_MAX = 65_535
_HTTP = re.compile(r"(\d{0,5})(/[!-~]*)")
_TIMES = tuple(
    (name, Limit(f"container.healthcheck.{name}", MILLISECOND, INT64_MAX, True, as_duration))
    for name in ("interval", "timeout", "start_period", "start_interval")
)
_RETRIES = Limit("container.healthcheck.retries", 0, 2**31 - 1)
_UNREADY_AFTER = Limit("container.healthcheck.unready_after", 0, 2**31 - 1)


def check_health(config: HealthConfig | None) -> None:
    """Refuse a check that could never be made."""
    if config is None:
        return
    for name, limit in _TIMES:
        limit.check(getattr(config, f"{name}_ns"))
    _RETRIES.check(config.retries)
    _UNREADY_AFTER.check(config.unready_after)
    if not config.test:
        return
    kind, *words = config.test
    if kind not in KINDS:
        raise invalid(
            f"container.healthcheck.test begins with {kind[:80]!r}; use one of {', '.join(KINDS)}"
        )
    if any("\0" in word for word in words):
        raise invalid("container.healthcheck.test contains a NUL character")
    if kind == "CMD" and not (words and words[0]):
        raise invalid("container.healthcheck.test CMD needs a command")
    if kind == "CMD-SHELL" and not (len(words) == 1 and words[0]):
        raise invalid("container.healthcheck.test CMD-SHELL needs one line for a shell")
    if kind == "HTTP":
        match = _HTTP.fullmatch(words[0]) if len(words) == 1 else None
        if match is None or not _is_port(match[1]):
            raise invalid(
                "container.healthcheck.test HTTP needs a path, with a port before it if it is not "
                "the service's first, such as 80/healthz"
            )
    if kind == "TCP" and not (len(words) <= 1 and all(map(_is_port, words))):
        raise invalid("container.healthcheck.test TCP takes one port, such as 5432")


def _is_port(text: str) -> bool:
    """A port, or nothing, which is the first port of the service."""
    return not text or (text.isascii() and text.isdigit() and 0 < int(text) <= PORT_MAX)
