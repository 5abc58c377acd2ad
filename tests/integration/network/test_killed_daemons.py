"""Daemons that are killed at each step of connecting a task to an overlay and cutting it off."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest

from tests.support.overlays import nodes

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="namespaces need root"),
]


async def test_no_interface_or_namespace_is_left_whenever_the_daemon_is_killed(tmp_path: Path):
    with nodes(tmp_path, 2):
        program = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.support.dying_networks", str(tmp_path),
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        said, errors = await program.communicate()
    assert program.returncode == 0, (said, errors.decode()[-3000:])
    assert int(said) > 10  # steps: fewer would mean that they are not seen any more
