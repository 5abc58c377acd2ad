"""Tables of rules as values: steps lead where a new beginning would, in the real kernel."""

from __future__ import annotations

import itertools
import os
import subprocess
import time
from functools import partial
from pathlib import Path
from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swarmd.lb.nft.choosing import mark_by
from swarmd.lb.nft.ruleset import Elements, Ruleset, gone, step, translating, whole
from swarmd.model.states import Balance
from swarmd.network.kernel import netns, nft, sysctl
from tests.bench.network import loads

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="namespaces need root"),
    pytest.mark.skipif(bool(nft.missing()), reason="libnftables is not installed"),
]

NAME = "ip swarmd_test"


def ruleset(ports: dict[int, int], *, policy: str = "accept") -> Ruleset:
    """Ports that lead to chains, which lead to one of a few marks."""
    return Ruleset(
        name=NAME,
        base={
            "enter": (
                f"type filter hook input priority 0; policy {policy};",
                "tcp dport vmap @ports",
            )
        },
        chains={f"p{port}": (f"ct mark set {mark}", "accept") for port, mark in ports.items()},
        sets={
            "ports": Elements(
                "type inet_service : verdict", {str(port): f"goto p{port}" for port in ports}
            ),
            "marks": Elements(
                "type mark : inet_service", {str(mark): str(port) for port, mark in ports.items()}
            ),
            "known": Elements("type inet_service", {str(port): "" for port in ports}),
        },
    )


def lines(path: Path) -> list[str]:
    listing = netns.inside(path, lambda: nft.listing(NAME))
    words = listing.replace("elements = {", " ").replace("}", " ").replace(",", "\n")
    return sorted(" ".join(line.split()) for line in words.splitlines() if line.strip())


@settings(max_examples=15, deadline=None)
@given(
    states=st.lists(
        st.dictionaries(st.integers(1, 6), st.integers(1, 3), max_size=6), min_size=2, max_size=6
    )
)
def test_steps_lead_where_a_new_beginning_would(states: list[dict[int, int]]) -> None:
    path = Path("/run") / f"swarmd-test-{uuid4().hex[:8]}"
    netns.create(path)
    try:
        tables = [ruleset(state) for state in states]
        netns.inside(path, lambda: nft.run(whole(tables[0])))
        for before, after in itertools.pairwise(tables):
            batch = step(before, after)
            netns.inside(path, lambda batch=batch: nft.run(batch) if batch else None)
        by_steps = lines(path)
        netns.inside(path, lambda: nft.run(whole(tables[-1])))
        assert by_steps == lines(path)
        netns.inside(path, lambda: nft.run(gone(NAME)))
        assert lines(path) == []
    finally:
        netns.remove(path)


def test_no_change_is_no_batch_and_another_base_is_a_new_beginning() -> None:
    assert step(ruleset({1: 1}), ruleset({1: 1})) == ""
    other = ruleset({1: 1}, policy="drop")
    assert step(ruleset({1: 1}), other) == whole(other)


STORM_S = 2.0
DETOUR = ("meta mark 0x7fff drop",) * 300  # so that packets are longer on their way
VIRTUAL = "10.66.0.2"
CONNECTIONS = 32
# Ports of clients are used again at once: they would be gone within a second.
OFTEN = {
    "ipv4/tcp_tw_reuse": "1",
    "ipv4/ip_local_port_range": "1024 65000",
    "netfilter/nf_conntrack_tcp_timeout_time_wait": "1",
}


def balancing(targets: tuple[str, ...]) -> Ruleset:
    """A virtual address over targets, as the mesh has its ports."""
    marks = {f"0x{number:x}": address for number, address in enumerate(targets, start=1)}
    return Ruleset(
        name=NAME,
        base=translating("enter", "output", *DETOUR, "tcp dport vmap @ports"),
        chains={
            "p80": (
                mark_by(Balance.ROUND_ROBIN, tuple(marks), hashed=""),
                "meta l4proto tcp dnat to ct mark map @targets : 81",
            )
        },
        sets={
            "ports": Elements("type inet_service : verdict", {"80": "goto p80"}),
            "targets": Elements("type mark : ipv4_addr", marks),
        },
    )


@pytest.mark.skipif(bool(loads.missing()), reason=loads.missing() or "-")
def test_connections_that_come_while_rules_change_are_translated(tmp_path: Path) -> None:
    """Where there is one chain alone, some of ten thousand find no target."""
    program = loads.compiled(tmp_path)
    path = Path("/run") / f"swarmd-test-{uuid4().hex[:8]}"
    targets = tuple(f"127.0.1.{number}" for number in range(1, 5))
    tables = [balancing(targets[:count]) for count in (4, 3, 2, 3)]
    netns.create(path)
    prefix = loads.in_namespace(path)
    with subprocess.Popen([*prefix, str(program), "serve", "81"]) as server:
        try:
            for command in ("link set lo up", f"addr add {VIRTUAL}/32 dev lo"):
                subprocess.run([*prefix, "ip", *command.split()], check=True)
            netns.inside(path, lambda: nft.run(whole(tables[0])))
            netns.inside(path, lambda: sysctl.put(OFTEN))
            client = loads.Client(
                program, prefix, "close", VIRTUAL, port=80, connections=CONNECTIONS
            )
            until = time.monotonic() + STORM_S
            for before, after in itertools.pairwise(itertools.cycle(tables)):
                change = partial(nft.run, step(before, after))
                netns.inside(path, change)
                if time.monotonic() > until:
                    break
            outcome = client.end()
        finally:
            server.kill()
            netns.remove(path)
    assert outcome.requests
    assert outcome.errors == 0
