"""Echoes on loopback, and what is no echo of ours."""

from __future__ import annotations

import pytest

from swarmd.agent.checkup import Checkup
from swarmd.agent.ping import NoPing, checksum, ping
from swarmd.rpc.call import Call, Peer
from swarmd.rpc.pb import doctor as pb
from swarmd.runtime.clock import SystemClock


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
async def test_an_address_that_answers_tells_the_largest_packet(address: str) -> None:
    try:
        echo = await ping(address, clock=SystemClock(), sizes=(9000, 576))
    except NoPing as error:
        pytest.skip(str(error))
    assert echo is not None
    assert echo.mtu == 9000
    assert echo.round_trip_ns > 0


async def test_what_is_no_address_is_said() -> None:
    with pytest.raises(NoPing, match="'beta' is no address"):
        await ping("beta", clock=SystemClock())


@pytest.mark.parametrize(
    ("data", "expected"),
    [(b"", 0xFFFF), (b"\x00\x01\xf2\x03\xf4\xf5\xf6\xf7", 0x220D), (b"\1", 0xFEFF)],
)
def test_the_checksum_is_that_of_the_internet(data: bytes, expected: int) -> None:
    assert checksum(data) == expected


async def test_a_checkup_tells_which_ways_were_tried() -> None:
    checkup = Checkup(
        ingress=lambda: None, problems=lambda: ["port 80 is taken"], clock=SystemClock()
    )
    neighbours = [
        pb.Neighbour(node_id="n2", address="127.0.0.1", manager_address="127.0.0.1:1"),
        pb.Neighbour(node_id="n3", address="", overlay_address="10.0.0.3"),
    ]
    request = pb.ExamineNodeRequest(neighbours=neighbours)
    answer = await checkup.Examine(Call(Peer(local=True), "Examine"), request)
    first, second = answer.ways
    assert list(answer.problems) == ["port 80 is taken"]
    assert (first.node_id, first.manager.answered) == ("n2", False)
    assert first.overlay.untried == "it is not on the ingress network"
    assert second.overlay.untried == "this node takes no part in overlay networks"
    assert second.underlay.untried == "'' is no address"
    assert second.manager.untried == "it is no manager"
