"""A swarm on loopback addresses by a user without privileges: founded, used, reached, left."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from urllib.request import urlopen

import msgspec
import pytest

from demo.swarm import wait_until

NOBODY = 65534
ROOT = Path(__file__).parents[3]
ADDRESS = "127.0.0.77"
PUBLISHED = 18977
# pytest may be root's alone; the user finds packages by these paths.
ENVIRONMENT = {
    "PYTHONPATH": f"{ROOT}:{Path(msgspec.__file__).parents[1]}",
    "PATH": os.environ["PATH"],
}
AS_USER = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")
# A program of that user starts it, since the first one still starts with root's rights.
PROBE = ("sh", "-c", '"$0" -c "import swarmd.node.daemon"')


@pytest.fixture(scope="module")
def user() -> list[str]:
    """The words that run Python as a user without privileges."""
    if os.geteuid() != 0:
        return [sys.executable]
    if shutil.which("setpriv") is None:
        pytest.skip("no setpriv command (package util-linux) to become another user")
    for python in (sys.executable, f"/usr/bin/python{sys.version_info[0]}.{sys.version_info[1]}"):
        tried = subprocess.run(
            [*AS_USER, *PROBE, python], capture_output=True, check=False, env=ENVIRONMENT, cwd="/"
        )
        if tried.returncode == 0:
            return [*AS_USER, python]
    pytest.skip("no Python that a user without privileges may run")


def run(user: list[str], directory: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*user, "-m", "swarmd.cli", "--state-dir", str(directory / "state"), *words],
        text=True,
        capture_output=True,
        check=False,
        timeout=60,
        env={**ENVIRONMENT, "HOME": str(directory)},
        cwd="/",
    )


def fetch() -> str:
    try:
        with urlopen(f"http://{ADDRESS}:{PUBLISHED}/", timeout=2) as answer:
            return str(answer.read().decode())
    except OSError:
        return ""


def lowest_port() -> int:
    """The lowest that users may listen on."""
    return int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text())


def test_a_user_without_privileges_runs_a_swarm_of_one(user: list[str]) -> None:
    server = ("--process", "--", user[-1], str(ROOT / "demo" / "whoami.py"))
    with tempfile.TemporaryDirectory(prefix="swarmd-") as name:
        directory = Path(name)
        os.chmod(directory, 0o777)
        try:
            done = run(user, directory, "init", "--listen-addr", f"{ADDRESS}:2377")
            assert done.returncode == 0, done.stderr
            assert "daemon started in the background" in done.stdout + done.stderr
            done = run(
                user,
                directory,
                *("service", "create", "--name", "web", "--replicas", "2"),
                *("--publish", f"{PUBLISHED}:80", "--env", "TASK={{.Task.Name}}"),
                *("--env", "MACHINE={{.Node.ID}}", *server),
            )
            assert done.returncode == 0, done.stderr
            wait_until(lambda: "web." in fetch(), what="the service to answer")
            said = run(user, directory, "info").stdout
            assert "services are reached by published ports alone" in said
            assert ("ports below" in said) is (lowest_port() > 1)
            if os.geteuid() == 0:
                assert (directory / "state").stat().st_uid == NOBODY
            refused = run(user, directory, "leave")
            assert refused.returncode == 1
            assert "last manager" in refused.stderr
            done = run(user, directory, "leave", "--force")
            assert done.returncode == 0, done.stderr
            assert fetch() == ""
            with socket.socket() as free:
                free.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                free.bind((ADDRESS, 2377))
        finally:
            done = run(user, directory, "stop", "--tasks")
        assert done.returncode == 0, done.stderr
