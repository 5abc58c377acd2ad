"""State directories that can't be used as they are: one sentence, and the files are kept."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from demo.machines import Machine, machines
from demo.swarm import Swarm, wait_until
from tests.support.bad_days import (
    SLEEPER,
    copy_state,
    flip,
    listening,
    log_of,
    managers,
    node_id,
    refused,
    running_on,
    services,
    start_daemon,
    state,
    stop_daemon,
    swarmd,
)

NAMES = ("m1", "m2", "m3", "w1")
SOMEBODY = 12345


class Setting:
    """Three managers and a worker with tasks; `victim` is the manager whose files suffer."""

    def __init__(self, swarm: Swarm) -> None:
        self.swarm = swarm
        self.first, _, self.victim, self.worker = (swarm.machines.by_name[n] for n in NAMES)
        self.kept = self.victim.directory / "kept"

    def start(self) -> None:
        self.swarm.init(self.first)
        for name in NAMES[1:]:
            role = "manager" if name.startswith("m") else "worker"
            self.swarm.join(self.swarm.machines.by_name[name], self.first, role)
        wait_until(lambda: managers(self.swarm, self.first) == 3, what="three managers")
        web = ("service", "create", "--name", "web", "--replicas", "4")
        self.swarm.command(self.first, *web, *SLEEPER)
        stop_daemon(self.swarm, self.victim)
        copy_state(self.victim, self.kept)

    def restore(self, part: str) -> None:
        """Put one file or directory back as it was."""
        place = self.victim.state_dir / part
        shutil.rmtree(place, ignore_errors=True)
        place.unlink(missing_ok=True)
        kept = self.kept / part
        if kept.is_dir():
            shutil.copytree(kept, place)
        else:
            shutil.copy2(kept, place)

    def is_whole(self) -> bool:
        info = self.swarm.json(self.victim, "info")
        return info["State"] == "active" and not info["Error"] and len(info["RemoteManagers"]) == 3


@pytest.fixture(scope="module")
def setting() -> Iterator[Setting]:
    with machines(NAMES) as made:
        setting = Setting(Swarm(made))
        try:
            setting.start()
            yield setting
        finally:
            setting.swarm.stop()


def flipped(name: str, *positions: int) -> Callable[[Path], None]:
    def spoil(state_dir: Path) -> None:
        for position in positions:
            flip(state_dir / name, position, bit=position % 8)

    return spoil


def removed(name: str) -> Callable[[Path], None]:
    return lambda state_dir: (state_dir / name).unlink()


CERTIFICATES, LOG = "certificates", "raft/log-0000000001"
DAMAGE = [
    ("raft", flipped(LOG, 3), "journal file 1 has a damaged header"),
    ("raft", flipped(LOG, 90), "journal file 1 is damaged at byte"),
    ("raft", flipped(LOG, 200, 1000), "journal file 1 is damaged at byte"),
    ("raft", flipped("raft/identity", 10), "the file identity is damaged"),
    ("raft", flipped("raft/keys", 12), "data keys is damaged"),
    ("raft", flipped("raft/kek", 5), "the file kek is damaged"),
    ("raft", removed(LOG), "journal"),
    (CERTIFICATES, flipped(f"{CERTIFICATES}/swarm-node.crt", 200), "certificate"),
    (CERTIFICATES, flipped(f"{CERTIFICATES}/swarm-node.key", 100), "private key"),
    (CERTIFICATES, flipped(f"{CERTIFICATES}/swarm-root-ca.crt", 120), "root certificate"),
    (CERTIFICATES, removed(f"{CERTIFICATES}/swarm-node.key"), "swarm-node.key is missing"),
    ("swarmd.json", flipped("swarmd.json", 0), "swarmd.json can't be used: damaged"),
    ("swarmd.json", flipped("swarmd.json", 50), "swarmd.json can't be used: damaged"),
    ("swarmd.json", removed("swarmd.json"), "swarmd.json is missing although"),
]


def test_damage_is_named_the_files_are_kept_and_mending_them_is_enough(setting: Setting) -> None:
    swarm, victim = setting.swarm, setting.victim
    for part, spoil, expected in DAMAGE:
        spoil(victim.state_dir)
        start_daemon(swarm, victim)
        wait_until(lambda e=expected: e in state(swarm, victim), what=f"it to say: {expected}")
        assert expected in refused(victim, "service", "ls"), "it serves nothing"
        assert "already part" in refused(victim, "init") or expected in refused(victim, "init")
        assert "Traceback" not in log_of(victim)
        stop_daemon(swarm, victim)
        setting.restore(part)
    start_daemon(swarm, victim)
    wait_until(setting.is_whole, what="the manager to be itself again")
    assert services(swarm, victim) == ["web"]
    stop_daemon(swarm, victim)


def test_a_damaged_replica_is_healed_by_the_other_managers(setting: Setting) -> None:
    swarm, victim = setting.swarm, setting.victim
    flip(victim.state_dir / LOG, 90)
    start_daemon(swarm, victim)
    wait_until(lambda: "move the directory away" in state(swarm, victim), what="the advice")
    (victim.state_dir / "raft").rename(victim.state_dir / "raft.damaged")
    wait_until(setting.is_whole, what="the others to send the state, without a restart")
    assert services(swarm, victim) == ["web"]
    assert managers(swarm, setting.first) == 3
    stop_daemon(swarm, victim)
    shutil.rmtree(setting.kept)
    copy_state(victim, setting.kept)


def test_a_manager_whose_port_is_taken_keeps_its_tasks_and_waits_for_it(setting: Setting) -> None:
    swarm, victim = setting.swarm, setting.victim
    with listening(victim, port=2377):
        start_daemon(swarm, victim)
        taken = "cannot listen on 0.0.0.0:2377: address already in use"
        wait_until(lambda: taken in state(swarm, victim), what="it to say so")
        assert taken in refused(victim, "node", "ls")
        own = node_id(swarm, victim)
        wait_until(
            lambda: status_of(swarm, setting.first, own) == "Ready", what="its agent to work"
        )
    wait_until(setting.is_whole, what="the manager to have its port")
    assert log_of(victim).count(taken) == 1
    stop_daemon(swarm, victim)


def status_of(swarm: Swarm, asked: Machine, node: str) -> str:
    rows = swarm.rows(asked, "node", "ls")
    return next(str(row["Status"]) for row in rows if row["ID"] == node)


def test_a_damaged_task_database_costs_no_task(setting: Setting) -> None:
    swarm, worker = setting.swarm, setting.worker
    own = node_id(swarm, worker)
    before = running_on(swarm, setting.first, own)
    assert before
    database = worker.state_dir / "worker" / "tasks.db"
    for position in (3, 5000):
        restart_with(setting, lambda p=position: flip(database, p))
        wait_until(lambda: is_ready(setting, worker), what="it to be back")
        assert running_on(swarm, setting.first, own) == before
    # The format's number: nobody can tell rot from the work of a newer version.
    restart_with(setting, lambda: flip(database, 60))
    wait_until(lambda: "tasks.db has format" in state(swarm, worker), what="it to refuse the file")
    assert database.stat().st_size > 0, "and to keep it"
    database.unlink()
    wait_until(lambda: is_ready(setting, worker), what="it to go on without a restart")


def restart_with(setting: Setting, spoil: Callable[[], None]) -> None:
    stop_daemon(setting.swarm, setting.worker)
    spoil()
    start_daemon(setting.swarm, setting.worker)


def is_ready(setting: Setting, machine: Machine) -> bool:
    if setting.swarm.json(machine, "info")["State"] != "active":
        return False
    node = node_id(setting.swarm, machine)
    return status_of(setting.swarm, setting.first, node) == "Ready"


def test_a_directory_of_another_format_or_owner_is_left_alone(tmp_path: Path) -> None:
    with machines(("solo",)) as made:
        solo = made.by_name["solo"]
        solo.state_dir.mkdir(mode=0o700)
        (solo.state_dir / "format").write_text("7\n")
        assert "has format '7'" in said_at_start(solo)
        assert refused(solo, "init").startswith("the daemon ended at once: the state directory")
        (solo.state_dir / "format").unlink()
        if os.geteuid() != 0:
            pytest.skip("only root can give files away")
        os.chown(solo.state_dir, SOMEBODY, SOMEBODY)
        assert f"belongs to user {SOMEBODY}, but swarmd runs as user 0" in said_at_start(solo)
        assert "belongs to user" in refused(solo, "init")
        os.chown(solo.state_dir, 0, 0)
        left = {path.name for path in solo.state_dir.iterdir()} - {"lock", "daemon.log"}
        assert left == set(), "nothing was written"


def said_at_start(machine: Machine) -> str:
    done = machine.run(swarmd(machine, "daemon"), timeout=20)
    assert done.returncode == 1
    assert len(done.stderr.strip().splitlines()) == 1
    return done.stderr
