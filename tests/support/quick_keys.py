"""`python -m tests.support.quick_keys …` is swarmd, but for keys of networks, which don't last.

A swarm whose leader runs so has another key every SWARMD_TEST_KEYS_S seconds, instead of every
twelve hours.
"""

from __future__ import annotations

import os

from swarmd.cli.main import main
from swarmd.model.instant import SECOND
from swarmd.orchestrator import network_keys

EVERY_S = float(os.environ.get("SWARMD_TEST_KEYS_S", "3"))

if __name__ == "__main__":
    network_keys.ROTATE_EVERY_NS = int(EVERY_S * SECOND)
    main()
