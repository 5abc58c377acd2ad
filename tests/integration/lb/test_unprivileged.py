"""The kernel's balancing without any privilege: in a user namespace with networks of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
CHECKOUT = TESTS.parents[2]
INSIDE = "SWARMD_TEST_IN_USER_NAMESPACE"
PATIENCE_S = 200


def _lacking() -> str:
    if os.environ.get(INSIDE):
        return "is in the user namespace already"
    if shutil.which("unshare") is None:
        return "unshare is not installed"
    tried = subprocess.run(["unshare", "-Urnm", "true"], capture_output=True, check=False)
    return "" if tried.returncode == 0 else "user namespaces are not allowed on this machine"


@pytest.mark.skipif(bool(_lacking()), reason=_lacking())
def test_virtual_addresses_and_the_mesh_work_in_a_user_namespace() -> None:
    script = f"""
        mount -t tmpfs none /run
        ip link set lo up
        exec {sys.executable} -m pytest -q -p no:cacheprovider -p no:xdist \
            -k "not ipvs and (round or refused or itself or every_node or back or late)" \
            {TESTS}/test_nft_mesh.py {TESTS}/test_nft_virtual.py {TESTS}/test_balancing.py
    """
    done = subprocess.run(
        ["unshare", "-Urnm", "sh", "-ec", script],
        cwd=CHECKOUT,
        env={**os.environ, INSIDE: "yes"},
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_S,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "skipped" not in done.stdout
