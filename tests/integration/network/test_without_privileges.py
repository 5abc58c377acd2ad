"""Networks and whole swarms by a user without any privileges, in a user namespace of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import pytest

from tests.support.nobody import NOBODY, PATHS, ROOT, interpreter
from tests.support.unprivileged_swarm import DONE

ENTER = ("unshare", "-Urnm")
# All processes end with the first one, whatever becomes of it.
TOGETHER = ("--pid", "--fork", "--kill-child", "--mount-proc")
OVERLAYS = "tests/integration/network/test_overlay.py"
TASKS = "tests/integration/network/test_task_networks.py"

# Machines are namespaces that the programs of iproute2 know by files there.
OWN_RUN = "mount -t tmpfs none /run && mkdir /run/netns && ip link set lo up && exec "
PATIENCE_S = 240


def as_nobody(*words: str, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*ENTER, *words],
        user=NOBODY,
        group=NOBODY,
        extra_groups=(),
        env={
            "PYTHONPATH": PATHS,
            "PYTHONDONTWRITEBYTECODE": "1",
            "PATH": os.environ["PATH"],
            **options.pop("env", {}),
        },
        capture_output=True,
        text=True,
        check=False,
        **options,
    )


def why_not() -> str:
    if os.geteuid() != 0:
        return "becoming user nobody needs root"
    if shutil.which(ENTER[0]) is None:
        return "no unshare command (package util-linux)"
    refused = as_nobody("true")
    return "" if refused.returncode == 0 else f"no user namespaces: {refused.stderr.strip()}"


WHY_NOT = why_not()


@pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT or "-")
def test_overlays_need_no_privileges_outside_of_a_user_namespace():
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        directory.chmod(0o777)
        done = as_nobody(
            *(interpreter(), "-m", "pytest", "--basetemp", str(directory / "own")),
            *(OVERLAYS, TASKS, "-k", "across_nodes or one_network or with_everything"),
            cwd=str(ROOT),
        )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 passed" in done.stdout


@pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT or "-")
def test_a_swarm_in_a_user_namespace_has_networks_names_and_the_mesh():
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o777)
        done = as_nobody(
            *TOGETHER,
            *("sh", "-ec", OWN_RUN + '"$0" -m tests.support.unprivileged_swarm', interpreter()),
            cwd=str(ROOT),
            env={"TMPDIR": name, "HOME": name},
            timeout=PATIENCE_S,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    assert DONE in done.stdout
