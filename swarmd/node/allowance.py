"""What tasks may have of this node, as whoever runs it says: by a flag, else in a file.

The file `allow` of the state directory holds words (`swarmd.model.permissions`) between white space
or commas; what follows a # is for people. It is read when the daemon starts.
"""

from __future__ import annotations

import re

from swarmd.model import permissions

from .config import DaemonConfig
from .paths import Paths
from .state_dir import StateDirError


def own_words(config: DaemonConfig, paths: Paths) -> tuple[str, ...] | None:
    """The node's own words; None where it leaves it to the cluster.

    Raises:
        StateDirError: the file can't be read, or holds something else.
    """
    if config.allow is not None:
        return config.allow
    try:
        lines = paths.allow.read_text().splitlines()
        words = permissions.checked(
            word for line in lines for word in re.split(r"[\s,]+", line.partition("#")[0])
        )
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        # A policy that is not understood must not become one that allows more.
        raise StateDirError(f"{paths.allow} can't be used: {error}") from None
    return words or None
