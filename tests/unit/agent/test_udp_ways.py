"""Packets of UDP that come back tell that there is a way."""

from __future__ import annotations

import asyncio
import socket

import pytest

from swarmd.agent import udp_ways as module
from swarmd.agent.checkup import Checkup
from swarmd.agent.udp_ways import MAGIC, NONCE_BYTES, SESSION_NS, Answering, ask, is_met
from swarmd.rpc.call import Call, Peer
from swarmd.rpc.pb import doctor as pb
from swarmd.runtime.clock import SystemClock

CLOCK = SystemClock()


def free_port() -> int:
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
    return port


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TIMEOUT_S", 0.05)


async def test_whoever_answers_is_heard_until_he_answers_no_more() -> None:
    address, answering = ("127.0.0.1", free_port()), Answering()
    assert await ask(address, clock=CLOCK) is None
    await answering.answer([address])
    await answering.answer([address])
    assert await ask(address, clock=CLOCK) is not None
    answering.close()
    assert await ask(address, clock=CLOCK) is None


async def test_a_port_that_somebody_else_has_is_left_to_him() -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        answering = Answering()
        await answering.answer([sock.getsockname()])
        assert await ask(sock.getsockname(), clock=CLOCK) is None
        answering.close()


async def test_nothing_comes_back_to_whom_asks_something_else() -> None:
    address, answering = ("127.0.0.1", free_port()), Answering()
    await answering.answer([address])
    loop = asyncio.get_running_loop()
    question = MAGIC + bytes(NONCE_BYTES)
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)
        sock.connect(address)
        for data in (b"", b"x" * len(question), question + b"x", question):
            await loop.sock_sendall(sock, data)
        assert await loop.sock_recv(sock, 100) == question
        with pytest.raises(BlockingIOError):
            sock.recv(100)
    answering.close()


@pytest.mark.parametrize(
    ("last", "now", "alive"),
    [(0, 10, False), (5, 5 + SESSION_NS, True), (5, 6 + SESSION_NS, False), (9, 5, True)],
)
def test_a_session_is_alive_for_as_long_as_wireguard_takes_it_to_be(
    last: int, now: int, alive: bool
) -> None:
    assert is_met(last, now_ns=now) is alive


async def test_where_wireguard_has_the_port_an_examination_goes_by_its_word() -> None:
    held, open_port, silent = (("127.0.0.1", free_port()) for _ in range(3))
    other = Checkup(ingress=lambda: None, problems=list, clock=CLOCK)
    one = Checkup(
        ingress=lambda: None,
        problems=list,
        met=lambda: {held: CLOCK.now(), silent: 0},
        clock=CLOCK,
    )
    call = Call(Peer(local=True), "Examine")
    await other.Examine(call, pb.ExamineNodeRequest(answer_at=[f"127.0.0.1:{open_port[1]}", "x"]))
    answer = await one.Examine(
        call,
        pb.ExamineNodeRequest(
            neighbours=[
                pb.Neighbour(
                    node_id="n2",
                    address="no address",
                    udp_addresses=[f"127.0.0.1:{port}" for _, port in (held, open_port, silent)],
                )
            ]
        ),
    )
    [way] = answer.ways
    assert [trial.answered for trial in way.udp] == [True, True, False]
    other.close()
