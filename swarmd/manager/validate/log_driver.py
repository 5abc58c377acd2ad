"""Where the output of tasks goes: the drivers there are, with the options each has."""

from __future__ import annotations

import re

from swarmd.model.errors import Code, Rejection, invalid
from swarmd.model.spec import LogDriver

LOG_DRIVERS = ("", "json-file", "local", "none")
_OPTIONS = ("max-size", "max-file")
_SIZE = re.compile(r"\d{1,15}[kmg]?b?", re.IGNORECASE)
_COUNT = re.compile(r"[1-9]\d{0,5}")


def check_log_driver(driver: LogDriver | None, *, within: str) -> None:
    """Refuse a driver that is not there, and options that would do nothing."""
    if driver is None:
        return
    if driver.name not in LOG_DRIVERS:
        raise Rejection(
            Code.UNIMPLEMENTED,
            f"{within}: log driver {driver.name!r} is not available; "
            f"use {' or '.join(name for name in LOG_DRIVERS if name)}",
        )
    known = () if driver.name == "none" else _OPTIONS
    for name, value in driver.options.items():
        if name not in known:
            has = f"has {' and '.join(known)}" if known else "has none"
            raise invalid(
                f"{within}: log option {name[:80]!r} is not available; {driver.name or 'it'} {has}"
            )
        form = _SIZE if name == "max-size" else _COUNT
        if not form.fullmatch(value.strip()):
            example = "10m" if name == "max-size" else "3"
            raise invalid(f"{within}: log option {name}={value[:80]!r} is none; write {example}")
