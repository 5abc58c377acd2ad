"""The program as a whole: info, hints, help and completion, from words typed to lines printed."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from swarmd import __version__
from swarmd.cli.main import ENTRIES, cli
from swarmd.model.errors import Code, Rejection
from swarmd.rpc.pb import local
from tests.support.commands import create, failing


def test_info_shows_what_was_chosen_and_why(daemon):
    daemon.local.info.warnings.append("port 8080/tcp is taken by another program")
    result = daemon.run("info")
    assert "Runtime:         process (no containerd)\n" in result.stdout
    assert "Role:            leader\n" in result.stdout
    assert result.stderr == "WARNING: port 8080/tcp is taken by another program\n"
    assert json.loads(daemon.ok("info", "--format", "json"))["Raft"]["Term"] == 2


def test_info_lists_the_managers_below_their_number(daemon):
    for name, leader, reachable in (("n1", True, True), ("n2", False, False)):
        daemon.local.info.managers_list.add(
            node_id=name, addr=f"{name}:2377", leader=leader, reachable=reachable
        )
    out = daemon.ok("info")
    assert "Managers:        1\n  manager 1:     n1:2377 leader (n1)\n" in out
    assert "  manager 2:     n2:2377 unreachable (n2)\n" in out
    assert "term 2, 1 member, committed 9" in out


def test_versions_are_those_of_program_and_daemon(daemon):
    assert daemon.ok("version") == f"swarmd {__version__}\ndaemon 0.1.0 at {daemon.socket}\n"
    assert json.loads(daemon.ok("version", "--format", "json")) == {
        "Program": __version__,
        "Daemon": "0.1.0",
        "Socket": str(daemon.socket),
    }
    daemon.close()
    daemon.socket.unlink()
    assert daemon.ok("version").endswith(f"daemon not running at {daemon.socket}\n")
    assert json.loads(daemon.ok("version", "--format", "json"))["Daemon"] is None


def test_info_of_a_node_without_a_swarm_says_how_to_get_one(daemon):
    daemon.local.info = local.InfoResponse(version="0.1.0", pid=1)
    assert "not part of a swarm: run `swarmd init`" in daemon.ok("info")


@pytest.mark.parametrize("words", [("service", "ls"), ("node", "ls"), ("info",), ("leave",)])
def test_without_a_daemon_the_next_step_is_named(daemon, words):
    daemon.close()
    daemon.socket.unlink()
    message = failing(daemon, *words)
    assert message.startswith(f"Error: no swarmd daemon is running at {daemon.socket}\n")
    assert "`swarmd init`" in message


@pytest.mark.parametrize(
    ("sentence", "hint"),
    [
        ("this node is not part of a swarm", "`swarmd init`"),
        ("this node is not a swarm manager", "run this on a manager"),
    ],
)
def test_what_a_node_cannot_do_is_explained(daemon, sentence, hint):
    class Refusing:
        def ListServices(self, call: Any, request: Any) -> Any:
            raise Rejection(Code.FAILED_PRECONDITION, sentence)

        ListServiceStatuses = ListServices

    daemon.services["docker.swarmkit.v1.Control"] = Refusing()
    message = failing(daemon, "service", "ls")
    assert sentence in message
    assert hint in message


@pytest.mark.parametrize("host", ["tcp://10.0.0.1:2377", "10.0.0.1:2377"])
def test_a_host_is_a_socket(host):
    completed = subprocess.run(
        [sys.executable, "-m", "swarmd.cli", "-H", host, "service", "ls"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert completed.returncode == 2
    assert "is not a socket" in completed.stderr


def test_help_and_completion_load_nothing_heavy():
    """They run while a person types: no protobuf, no rich, no records."""
    program = (
        "import sys; from swarmd.cli.main import cli\n"
        "try: cli(['--help'])\n"
        "except SystemExit: pass\n"
        "try: cli(['service', 'create', '--help'])\n"
        "except SystemExit: pass\n"
        "heavy = [m for m in sys.modules if m.partition('.')[0] in\n"
        "         ('google', 'grpc', 'rich', 'asyncio', 'msgspec', 'cryptography')]\n"
        "assert not heavy, heavy\n"
    )
    completed = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert completed.returncode == 0, completed.stderr


def test_every_listed_command_exists():
    context = cli.make_context("swarmd", ["info"], resilient_parsing=True)
    for name in ENTRIES:
        command = cli.get_command(context, name)
        assert command is not None
        for inner in getattr(command, "_entries", ()):
            assert command.get_command(context, inner) is not None


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_printed_for_each_shell(daemon, shell):
    assert "_SWARMD_COMPLETE" in daemon.ok("completion", shell)


def test_names_are_completed_from_the_swarm(daemon):
    from click.shell_completion import ShellComplete

    create(daemon, "web")
    create(daemon, "api")
    target = daemon.target()
    complete = ShellComplete(cli, {"obj": target}, "swarmd", "_SWARMD_COMPLETE")

    def words(*args: str, incomplete: str) -> list[str]:
        return [item.value for item in complete.get_completions(list(args), incomplete)]

    assert words("service", "ps", incomplete="w") == ["web"]
    assert words("service", "update", incomplete="") == ["api", "web"]
    assert words("node", "inspect", incomplete="n") == ["n1", "n2", "n3"]
    assert words(incomplete="ser") == ["service"]
    assert words("service", incomplete="c") == ["create"]
