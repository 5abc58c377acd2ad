"""The data plane of an ordinary user's node, by user nobody, who may change nothing here."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

import pytest

from swarmd.network.kernel import nft
from tests.support import enclave_plane, enclave_task
from tests.support.enclave_plane import OWN, PEER, STRANGER
from tests.support.nobody import interpreter
from tests.support.rootless import AS_USER, WITH_TUN, a_tun, why_not

WHY_NOT = why_not() or nft.missing()
pytestmark = [pytest.mark.root, pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT or "-")]

MACHINE = "ip link set lo up; for one in $1; do ip address add $one/32 dev lo; done; shift; "


def as_user(program: str) -> subprocess.CompletedProcess[str]:
    """Run a program as nobody, on a machine with an address and a neighbour."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        directory.chmod(0o777)
        return subprocess.run(
            [
                *("unshare", "--net", "--mount", "sh", "-ec", MACHINE + WITH_TUN, "sh"),
                *(f"{OWN} {PEER} {STRANGER}", a_tun(directory), *AS_USER),
                *(interpreter(), "-m", program, str(directory / "state")),
            ],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )


def test_an_ordinary_users_tasks_have_networks_and_ways_in_and_out():
    done = as_user("tests.support.enclave_plane")
    assert done.returncode == 0, done.stdout + done.stderr
    assert enclave_plane.DONE in done.stdout


def test_a_process_there_outlives_its_daemon_and_has_no_rights():
    done = as_user("tests.support.enclave_task")
    assert done.returncode == 0, done.stdout + done.stderr
    assert enclave_task.DONE in done.stdout
