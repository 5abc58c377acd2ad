"""Containers and the person who looks after them, at a terminal: the real command line."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.machines import machines
from demo.swarm import CommandFailed, Swarm, wait_until
from tests.support import images
from tests.support.containers import why_none
from tests.support.terminal import Person

pytestmark = pytest.mark.skipif(bool(why_none()), reason=why_none() or "-")

LET_GO = b"\x10\x11"  # Ctrl-P Ctrl-Q
# What is typed is shown as well; the quotes keep it from looking like what is printed. The shell
# hears of a signal between two commands only, so none of them is long.
INTERRUPTIBLE = (
    b"""sh -c 'trap "echo cau""ght; echo ov""er; exit" INT; """
    b"""echo rea""dy; while :; do sleep 1; done'\n"""
)


@pytest.fixture(scope="module")
def swarm() -> Iterator[Swarm]:
    """A manager, and a worker that runs a shell on a terminal as service `term`."""
    with machines(("m1", "w1")) as made:
        swarm = Swarm(made)
        try:
            first = made.by_name["m1"]
            swarm.init(first)
            swarm.join(made.by_name["w1"], first, "worker")
            archive = made.directory / "box.tar"
            images.docker_archive(archive, "box:1", [images.busybox_layer()])
            swarm.command(made.by_name["w1"], "image", "load", "-q", str(archive))
            swarm.command(
                first,
                *("service", "create", "--name", "term", "--tty", "--interactive"),
                *("--constraint", "node.role==worker", "--restart-condition", "none"),
                *("--stop-grace-period", "100ms", "box:1", "sh"),
            )
            yield swarm
        finally:
            swarm.stop()


def at_terminal(swarm: Swarm, *words: str) -> Person:
    """Somebody who has typed a command of swarmd at the manager."""
    first = swarm.machines.by_name["m1"]
    argv = [sys.executable, "-m", "swarmd.cli", "--state-dir", str(first.state_dir), *words]
    return Person(first.command(argv))


def inside(swarm: Swarm, *words: str) -> str:
    try:
        return swarm.command(swarm.machines.by_name["m1"], "exec", "term.1", *words)
    except CommandFailed:
        return ""


def state(swarm: Swarm) -> str:
    (row,) = swarm.rows(swarm.machines.by_name["m1"], "service", "ps", "term")
    return str(row["CurrentState"])


def test_a_command_on_a_terminal_follows_its_size_keys_and_end(swarm: Swarm) -> None:
    with at_terminal(swarm, "exec", "-it", "term.1", "sh") as person:
        person.sees(b"33 99", after=b"stty size\n")
        person.resize(20, 70)
        person.sees(b"20 70", after=b"stty size\n")
        person.types(INTERRUPTIBLE)
        person.sees(b"ready")
        person.types(b"\x03")
        person.sees(b"caught")
        person.sees(b"over")
        person.types(b"exit 5\n")
        assert person.leaves() == 5


def test_a_command_that_is_let_go_of_goes_on(swarm: Swarm) -> None:
    with at_terminal(swarm, "exec", "-it", "term.1", "sh") as person:
        person.types(b"(sleep 1; while :; do date; done) & sleep 3000\n")
        wait_until(lambda: "sleep 3000" in inside(swarm, "ps"), what="the command")
        person.types(LET_GO)
        assert person.leaves() == 0
    assert "sleep 3000" in inside(swarm, "ps")
    first = swarm.machines.by_name["m1"]
    script = "sleep 1; echo $0 > /tmp/done"
    done = swarm.command(first, "exec", "--detach", "term.1", "sh", "-c", script, "alone")
    assert done == ""
    wait_until(lambda: inside(swarm, "cat", "/tmp/done") == "alone\n", what="the end of it")
    with pytest.raises(CommandFailed, match="neither input nor terminal"):
        swarm.command(first, "exec", "-d", "-i", "term.1", "cat")


def test_a_container_is_read_looked_at_and_copied_with(swarm: Swarm, tmp_path: Path) -> None:
    first = swarm.machines.by_name["m1"]
    script = "echo oops >&2; sleep 0.3; for i in 1 2 3 4 5; do echo line $i; done; exec sleep 5000"
    swarm.command(
        first,
        *("service", "create", "--name", "talk", "--constraint", "node.role==worker"),
        *("--stop-grace-period", "100ms", "box:1", "sh", "-c", script),
    )
    (task,) = swarm.rows(first, "service", "ps", "--no-trunc", "talk")

    def logs(*flags: str) -> str:
        return swarm.command(first, "service", "logs", *flags, "talk")

    said = [f"line {number}" for number in range(1, 6)]
    wait_until(lambda: logs("--raw").splitlines() == said, what="all that it says")
    assert logs("--raw", "--tail", "2").splitlines() == said[-2:]
    assert logs("--raw", "--since", "1h", "--until", "0s").splitlines() == said
    assert logs("--raw", "--until", "1h") == ""
    assert logs("--tail", "1", "--no-task-ids").startswith("talk.1@")
    assert f"talk.1.{task['ID']}@" in logs("--tail", "1", "--no-trunc")
    detailed = logs("--raw", "--details", "--timestamps", "--tail", "1")
    assert re.match(r"20\d\d-\d\d-\d\dT[\d:.]+Z com\.docker\.swarm\.node\.id=", detailed)
    assert f"com.docker.swarm.task.id={task['ID']} line 5" in detailed

    (process,) = swarm.rows(first, "top", "talk.1")
    assert process["Command"] == "sleep 5000"
    (used,) = swarm.rows(first, "stats", "--no-stream", "talk.1")
    assert (used["Processes"], 0 < used["Memory"] < 50_000_000) == (1, True)

    sent, back = tmp_path / "sent", tmp_path / "back"
    sent.write_text("there and back")
    swarm.command(first, "cp", str(sent), "talk.1:/tmp/sent")
    assert swarm.command(first, "exec", "talk.1", "cat", "/tmp/sent") == "there and back"
    swarm.command(first, "cp", "talk.1:/tmp/sent", str(back))
    assert back.read_text() == "there and back"
    swarm.command(first, "service", "rm", "talk")


def test_a_task_on_a_terminal_is_attached_to_let_go_of_and_ended(swarm: Swarm) -> None:
    with at_terminal(swarm, "attach", "term.1") as person:
        person.sees(b"33 99", after=b"stty size\n")
        person.resize(21, 71)
        person.sees(b"21 71", after=b"stty size\n")
        person.types(INTERRUPTIBLE)
        person.sees(b"ready")
        person.types(b"\x03")
        person.sees(b"caught")
        person.types(LET_GO)
        assert person.leaves() == 0
    assert state(swarm).startswith("Running")
    with at_terminal(swarm, "attach", "--detach-keys", "ctrl-a,x", "term.1") as person:
        person.sees(b"ok:", after=b"echo o''k:\n")
        person.types(LET_GO)  # keys like all others
        person.sees(b"still:", after=b"echo st''ill:\n")
        person.types(b"\x01x")
        assert person.leaves() == 0
    assert state(swarm).startswith("Running")
    with at_terminal(swarm, "attach", "--detach-keys", "none", "term.1") as person:
        person.sees(b"ok:", after=b"echo o''k:\n")
        person.types(b"exit 7\n")
        assert person.leaves() == 7
    wait_until(lambda: state(swarm).startswith("Failed"), what="the end of the task")


def test_a_client_that_dies_takes_its_command_along(swarm: Swarm) -> None:
    first = swarm.machines.by_name["m1"]
    swarm.command(first, "service", "update", "--force", "term")
    wait_until(lambda: inside(swarm, "echo", "up") == "up\n", what="the task")
    with at_terminal(swarm, "exec", "-it", "term.1", "sleep", "4000") as person:
        wait_until(lambda: "sleep 4000" in inside(swarm, "ps"), what="the command")
        person.program.kill()
    wait_until(lambda: "sleep 4000" not in inside(swarm, "ps"), what="its end")
