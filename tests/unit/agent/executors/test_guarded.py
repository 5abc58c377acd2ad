"""A container on a lease, as the keeper knows it: a cgroup, with groups in it perhaps."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import cast

from swarmd.agent.executors.keeper.guarded import KILL_AGAIN_NS, Guarded
from swarmd.agent.executors.keeper.loop import Loop


class Later:
    """The part of a loop that is needed: it notes what is to be done when."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, Callable[[], None]]] = []

    def after(self, delay_ns: int, call: Callable[[], None]) -> None:
        self.asked.append((delay_ns, call))


def test_everything_in_the_group_and_below_it_is_killed_until_nothing_is_left(tmp_path: Path):
    inner = tmp_path / "pids" / "of-its-own"
    inner.mkdir(parents=True)
    children = [subprocess.Popen(["sleep", "1000"]) for _ in range(2)]
    (tmp_path / "pids" / "cgroup.procs").write_text(f"{children[0].pid}\n")
    (inner / "cgroup.procs").write_text(f"{children[1].pid}\n")
    later = Later()
    guarded = Guarded(
        cast(Loop, later),
        lease_ns=1,
        directories=(str(tmp_path / "none"), str(tmp_path / "pids")),
    )
    guarded.lapse()
    assert [child.wait() for child in children] == [-9, -9]
    assert guarded.lapsed
    [(delay_ns, again)] = later.asked
    assert delay_ns == KILL_AGAIN_NS
    for procs in tmp_path.rglob("cgroup.procs"):
        procs.write_text("")
    again()
    assert len(later.asked) == 1, "nothing is left to kill"


def test_a_container_that_is_over_is_nobodys_concern(tmp_path: Path):
    child = subprocess.Popen(["sleep", "1000"])
    (tmp_path / "cgroup.procs").write_text(f"{child.pid}\n")
    later = Later()
    guarded = Guarded(cast(Loop, later), lease_ns=1, directories=(str(tmp_path),))
    guarded.over = True
    guarded.lapse()
    child.wait()
    assert later.asked == []
