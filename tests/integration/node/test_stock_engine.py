"""A stock Docker Engine joins a swarm of ours as a worker, knowing nothing of swarmd."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from demo.machines import Machine, machines, namespaces_available, stop
from demo.swarm import Swarm, wait_until
from tests.support import images
from tests.support.containers import why_none


def missing() -> str | None:
    """What keeps an engine from running here; None when nothing does."""
    for program in ("dockerd", "docker"):
        if shutil.which(program) is None:
            return f"no {program} command (package docker.io)"
    return namespaces_available()


LACK = missing()
pytestmark = pytest.mark.skipif(LACK is not None, reason=f"cannot run a Docker Engine: {LACK}")


class Engine:
    """A Docker Engine on a machine, with all its state below the machine's directory."""

    def __init__(self, machine: Machine) -> None:
        self.manager = machine  # where it joins; a test says
        self._machine = machine
        self._host = f"unix://{machine.directory}/docker.sock"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        directory = self._machine.directory
        argv = [
            *("dockerd", "--data-root", f"{directory}/data", "--exec-root", f"{directory}/exec"),
            *("--pidfile", f"{directory}/pid", "-H", self._host, "--storage-driver", "vfs"),
            *("--bridge", "none", "--iptables=false", "--ip6tables=false"),
        ]
        with (directory / "dockerd.log").open("wb") as output:
            process = self._process = self._machine.start(argv, output=output)
        wait_until(
            lambda: self._docker("info").returncode == 0 or process.poll() is not None,
            what="the engine to start",
        )
        if process.poll() is not None:
            lines = (directory / "dockerd.log").read_text().splitlines()
            pytest.skip(f"dockerd does not run here: {lines[-1] if lines else 'no output'}")

    def command(self, *words: str) -> str:
        done = self._docker(*words)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def swarm(self) -> Any:
        """What the engine knows of its swarm."""
        return json.loads(self.command("info", "--format", "{{json .Swarm}}"))

    def stop(self) -> None:
        if self._process is not None:
            stop(self._process)

    def _docker(self, *words: str) -> subprocess.CompletedProcess[str]:
        return self._machine.run(["docker", "-H", self._host, *words], timeout=60)


@pytest.fixture(params=["m1", "m2"], ids=["at the leader", "behind a follower"])
def engine_and_swarm(request: pytest.FixtureRequest) -> Iterator[tuple[Engine, Swarm]]:
    """An engine yet to join; with m2 that manager is the only one it can reach."""
    with machines(("m1", "m2", "engine")) as made:
        swarm, engine = Swarm(made), Engine(made.by_name["engine"])
        try:
            engine.start()
            leader = made.by_name["m1"]
            swarm.init(leader)
            engine.manager = made.by_name[request.param]
            if engine.manager is not leader:
                swarm.join(engine.manager, leader, "manager")
                made.by_name["engine"].run(["ip", "route", "add", "prohibit", leader.address])
            yield engine, swarm
        finally:
            engine.stop()
            swarm.stop()


def row_of(swarm: Swarm, node_id: str) -> dict[str, Any]:
    rows = swarm.rows(swarm.machines.by_name["m1"], "node", "ls")
    return next(row for row in rows if row["ID"] == node_id)


def archives_travel_both_ways(engine: Engine, swarm: Swarm, directory: Path) -> None:
    """What `image save` writes the engine loads and runs, and the other way round."""
    first, made = swarm.machines.by_name["m1"], directory / "made.tar"
    layers = [images.busybox_layer(), images.layer([images.a_file("word", b"travelled")])]
    images.oci_archive(made, "docker.io/library/trip:1", layers)
    swarm.command(first, "image", "load", str(made))
    (before,) = swarm.rows(first, "image", "ls")
    there, back = directory / "there.tar", directory / "back.tar"
    swarm.command(first, "image", "save", "-o", str(there), "trip:1")
    assert "trip:1" in engine.command("load", "-i", str(there))
    assert engine.command("image", "inspect", "-f", "{{.Id}}", "trip:1").strip() == before["ID"]
    said = engine.command("run", "--rm", "--network", "none", "trip:1", "cat", "/word")
    assert said == "travelled"
    engine.command("save", "-o", str(back), "trip:1")
    swarm.command(first, "image", "rm", "trip:1")
    assert "trip:1" in swarm.command(first, "image", "load", str(back))
    (after,) = swarm.rows(first, "image", "ls")
    assert after["ID"] == before["ID"]


def test_an_engine_joins_takes_tasks_and_leaves(
    engine_and_swarm: tuple[Engine, Swarm], tmp_path: Path
) -> None:
    engine, swarm = engine_and_swarm
    first = swarm.machines.by_name["m1"]
    address = swarm.machines.by_name["engine"].address
    token = swarm.command(first, "token", "-q", "worker").strip()
    said = engine.command(
        *("swarm", "join", "--token", token, "--advertise-addr", address),
        f"{engine.manager.address}:2377",
    )
    assert "joined a swarm as a worker" in said

    known = engine.swarm()
    assert (known["LocalNodeState"], known["ControlAvailable"]) == ("active", False)
    assert f"{engine.manager.address}:2377" in [peer["Addr"] for peer in known["RemoteManagers"]]
    node_id = known["NodeID"]
    wait_until(lambda: row_of(swarm, node_id)["Status"] == "Ready", what="the engine to be ready")
    (node,) = json.loads(swarm.command(first, "node", "inspect", node_id))
    plugins = {(item["Type"], item["Name"]) for item in node["Description"]["Engine"]["Plugins"]}
    assert ("Network", "overlay") in plugins
    assert node["Status"]["Addr"] == address

    # Assignments and reports travel: the engine looks for an image and says that it has none.
    swarm.command(
        first,
        *("service", "create", "--detach", "--name", "img", "--restart-condition", "none"),
        *("--constraint", f"node.id=={node_id}", "swarmd-test/no-such-image:1"),
    )
    wait_until(
        lambda: "No such image" in swarm.command(first, "service", "ps", "img"),
        what="the engine to report on its task",
    )

    if engine.manager is first and not why_none():
        archives_travel_both_ways(engine, swarm, tmp_path)

    engine.command("swarm", "leave")
    wait_until(
        lambda: row_of(swarm, node_id)["Status"].startswith("Down"), what="the engine to be missed"
    )
    swarm.command(first, "node", "rm", node_id)
