"""Names and labels: which characters, how many."""

from __future__ import annotations

import re
from collections.abc import Mapping

from swarmd.model.errors import invalid

NAME_LENGTH_MAX = 63
LABEL_LENGTH_MAX = 4096
# Letters and digits, joined by any number of hyphens and underscores. Written without nested
# repetition, so that a hostile name cannot make matching slow.
_NAME = re.compile(r"[a-zA-Z0-9](?:[-_a-zA-Z0-9]*[a-zA-Z0-9])?")


def check_name(kind: str, name: str) -> None:
    """Refuse a name that a service, cluster or network must not have."""
    if not name:
        raise invalid(f"{kind} name is missing: every {kind} needs one")
    if not _NAME.fullmatch(name):
        raise invalid(
            f"{kind} name {name[:80]!r} is not valid: use letters, digits, '-' and '_', "
            "beginning and ending with a letter or digit"
        )
    if len(name) > NAME_LENGTH_MAX:
        raise invalid(f"{kind} name is {len(name)} characters long, the limit is {NAME_LENGTH_MAX}")


def check_labels(kind: str, labels: Mapping[str, str]) -> None:
    """Refuse labels without a key, with control characters, or of absurd size."""
    for key, value in labels.items():
        if not key:
            raise invalid(f"{kind} labels contain one without a key: write key=value")
        if "\0" in key or "\0" in value:
            raise invalid(f"{kind} label {key!r} contains a NUL character")
        if len(key) + len(value) > LABEL_LENGTH_MAX:
            raise invalid(
                f"{kind} label {key[:80]!r} takes {len(key) + len(value)} characters, "
                f"the limit is {LABEL_LENGTH_MAX}"
            )
