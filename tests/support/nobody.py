"""Running our code as a user without any rights."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

NOBODY = 65534
ROOT = Path(__file__).parents[2]
PATHS = f"{ROOT}:{Path(msgspec.__file__).parents[1]}"


def interpreter() -> str:
    """A Python that user nobody can run and that finds our dependencies; skips without one."""
    for python in (sys.executable, "/usr/bin/python3.11"):
        try:
            found = subprocess.run(
                [python, "-c", "import msgspec"],
                user=NOBODY,
                env={"PYTHONPATH": PATHS},
                cwd="/",
                capture_output=True,
            )
        except OSError:
            continue
        if found.returncode == 0:
            return python
    pytest.skip("no Python 3.11 here that user nobody can run with our dependencies")
