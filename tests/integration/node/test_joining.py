"""Joins that cannot work: each says why in one sentence, and leaves the daemon as it was."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator

import pytest

from demo.machines import Machine, Machines, machines
from demo.swarm import Swarm, wait_until
from tests.support.bad_days import (
    SLEEPER,
    clock,
    join_arguments,
    listening,
    log_of,
    needs_faketime,
    refused,
    run,
    running_on,
    sentence,
    start_daemon,
    stop_daemon,
    swarmd,
)

SPARES = ("s1", "s2", "s3", "s4")


class Setting:
    """A swarm of one manager, a manager of another swarm, and machines that are in none."""

    def __init__(self, made: Machines) -> None:
        self.machines = made
        self.swarm = Swarm(made)
        self.manager, self.foreign = made.by_name["m1"], made.by_name["x1"]
        self.spares = [made.by_name[name] for name in SPARES]
        self.address = f"{self.manager.address}:2377"

    def start(self) -> None:
        self.swarm.init(self.manager)
        self.swarm.init(self.foreign)
        for spare in self.spares:
            self.swarm.start_daemon(spare)

    def token(self, role: str = "worker", *, of: Machine | None = None) -> str:
        return self.swarm.command(of or self.manager, "token", "-q", role).strip()

    def nodes(self) -> int:
        return len(self.swarm.rows(self.manager, "node", "ls"))

    def is_inactive(self, machine: Machine) -> bool:
        return bool(self.swarm.json(machine, "info")["State"] == "inactive")


@pytest.fixture(scope="module")
def setting() -> Iterator[Setting]:
    with machines(("m1", "x1", *SPARES)) as made:
        setting = Setting(made)
        try:
            setting.start()
            yield setting
        finally:
            setting.swarm.stop()


def test_a_token_that_is_not_the_clusters_is_refused(setting: Setting) -> None:
    spare, token = setting.spares[0], setting.token()
    digest, secret = token.split("-")[2:]
    setting.swarm.command(setting.manager, "token", "--rotate", "worker")
    cases = {
        "nonsense": "does not begin with SWMTKN-",
        token[:-3]: "token is truncated: the secret has 22 characters of 25",
        token[:30]: "token is truncated",
        f"SWMTKN-9-{digest}-{secret}": "version",
        token.upper(): "characters that don't belong there",
        token: "token was rotated",
        f"SWMTKN-1-{digest}-{secret[::-1]}": "rotated and is no longer good, or its last part",
        setting.token(of=setting.foreign): "made by another cluster",
        f"SWMTKN-1-{'0' * len(digest)}-{secret}": "not one of the cluster at",
    }
    for bad, expected in cases.items():
        said = refused(spare, *join_arguments(spare, bad, setting.address))
        assert expected in said
        assert secret not in said
    assert setting.is_inactive(spare)
    assert setting.nodes() == 1
    assert token.split("-")[3] not in log_of(spare), "secrets stay out of the log"


def test_an_address_without_a_manager_is_named_with_what_is_there(setting: Setting) -> None:
    host = setting.manager.address
    with listening(setting.manager, port=8123), _silent(setting, port=2399):
        cases = {
            f"{host}:2378": "connection refused",
            "no-such-host.invalid": "no-such-host.invalid can't be resolved",
            f"{host}:8123": "no swarm manager at .*does not speak TLS",
            f"{host}:2399": "does not answer",
        }
        if not setting.machines.in_namespaces:
            del cases[f"{host}:2399"]  # loopback swallows no packets without privileges
        token = setting.token()
        # At once, since unreachable addresses are given some time to become reachable.
        attempts = {
            address: subprocess.Popen(
                spare.command(swarmd(spare, *join_arguments(spare, token, address))),
                text=True,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
            for address, spare in zip(cases, setting.spares, strict=False)
        }
        for address, attempt in attempts.items():
            stdout, stderr = attempt.communicate(timeout=60)
            done = subprocess.CompletedProcess((), attempt.returncode, stdout, stderr)
            assert re.search(cases[address], sentence(done))
    for spare in setting.spares:
        assert setting.is_inactive(spare)
    for words in (("host:port",), ("10.0.0.1:99999",), ("[::1:5",)):
        assert "address" in refused(
            setting.spares[0], *join_arguments(setting.spares[0], token, *words)
        )


def test_a_daemon_whose_join_failed_can_join(setting: Setting) -> None:
    spare = setting.spares[3]
    foreign = setting.token(of=setting.foreign)
    refused(spare, *join_arguments(spare, foreign, setting.address))
    done = run(spare, *join_arguments(spare, setting.token(), setting.address))
    assert done.returncode == 0, done.stderr
    setting.swarm.command(spare, "leave")
    assert setting.is_inactive(spare)


def test_a_port_in_use_is_named_and_leaves_nothing_behind(setting: Setting) -> None:
    spare, token = setting.spares[1], setting.token("manager")
    with listening(spare, port=2377):
        said = refused(spare, "init", "--advertise-addr", spare.address)
        assert "cannot listen on 0.0.0.0:2377: address already in use" in said
        said = refused(spare, *join_arguments(spare, token, setting.address))
        assert "cannot listen on 0.0.0.0:2377: address already in use" in said
    assert setting.is_inactive(spare)
    rows = setting.swarm.rows(setting.manager, "node", "ls")
    own = str(setting.swarm.json(setting.manager, "info")["NodeID"])
    left = [row for row in rows if row["ID"] != own and not str(row["Status"]).startswith("Down")]
    assert left == [], "the managers know that it did not stay"


@needs_faketime
@pytest.mark.parametrize(
    ("offset", "expected"),
    [
        pytest.param("-5h", r"not valid yet: this machine's clock is .* behind", id="past"),
        pytest.param("+200d", r"expired .* by this machine's clock", id="future"),
    ],
)
def test_a_clock_that_makes_certificates_invalid_is_named(
    setting: Setting, offset: str, expected: str
) -> None:
    spare = setting.spares[2]
    stop_daemon(setting.swarm, spare)
    start_daemon(setting.swarm, spare, *clock(offset))
    try:
        said = refused(spare, *join_arguments(spare, setting.token(), setting.address))
        assert re.search(expected, said)
        assert "set" in said, "it says what to do"
        assert setting.is_inactive(spare)
    finally:
        stop_daemon(setting.swarm, spare)
        start_daemon(setting.swarm, spare)


@needs_faketime
def test_a_node_whose_clock_is_hours_ahead_joins_is_warned_and_works(setting: Setting) -> None:
    spare, manager = setting.spares[2], setting.manager
    stop_daemon(setting.swarm, spare)
    start_daemon(setting.swarm, spare, *clock("+5h"))
    try:
        done = run(spare, *join_arguments(spare, setting.token(), setting.address))
        assert done.returncode == 0, done.stderr
        assert "this machine's clock is 5h ahead of the manager's" in done.stdout
        own = str(setting.swarm.json(spare, "info")["NodeID"])
        constraint = ("--constraint", f"node.id=={own}")
        setting.swarm.command(
            manager, "service", "create", "--name", "early", *constraint, *SLEEPER
        )
        assert len(running_on(setting.swarm, manager, own)) == 1
        setting.swarm.command(manager, "service", "rm", "early")
        wait_until(lambda: not running_on(setting.swarm, manager, own), what="its task to end")
        setting.swarm.command(spare, "leave")
    finally:
        stop_daemon(setting.swarm, spare)
        start_daemon(setting.swarm, spare)


class _silent:  # used like a function
    """A port of the manager that swallows packets; nothing where there are no namespaces."""

    def __init__(self, setting: Setting, *, port: int) -> None:
        self._prefix = setting.manager.command(["nft"])
        self._port = port
        self._possible = setting.machines.in_namespaces

    def __enter__(self) -> None:
        if self._possible:
            self._nft("add table inet silent")
            self._nft("add chain inet silent input { type filter hook input priority 0; }")
            self._nft(f"add rule inet silent input tcp dport {self._port} drop")

    def __exit__(self, *_: object) -> None:
        if self._possible:
            self._nft("delete table inet silent")

    def _nft(self, rule: str) -> None:
        subprocess.run([*self._prefix, rule], check=True)
