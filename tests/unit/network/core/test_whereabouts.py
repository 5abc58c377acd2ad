"""A node is followed from one address to the next."""

from __future__ import annotations

import pytest

from swarmd.network.core.whereabouts import Held, Seat, follow, seat_of

LO = Held(65536, ("127.0.0.1", "::1"))
SEAT = Seat("192.0.2.1", "eth0", 1500)


def test_an_address_is_found_with_its_interface() -> None:
    interfaces = {"lo": LO, "eth0": Held(1500, ("192.0.2.1",))}
    assert seat_of("192.0.2.1", interfaces) == SEAT
    assert seat_of("192.0.2.9", interfaces) is None


@pytest.mark.parametrize(
    ("interfaces", "now"),
    [
        pytest.param({"eth0": Held(1500, ("192.0.2.1",))}, SEAT, id="stays"),
        pytest.param(
            {"eth0": Held(9000, ("192.0.2.1",))}, Seat("192.0.2.1", "eth0", 9000), id="resized"
        ),
        pytest.param(
            {"eth0": Held(1500, ("192.0.2.7", "192.0.2.1"))}, SEAT, id="one more beside it"
        ),
        pytest.param(
            {"eth0": Held(1500, ("2001:db8::1", "192.0.2.7"))},
            Seat("192.0.2.7", "eth0", 1500),
            id="another of the same family",
        ),
        pytest.param(
            {"eth0": Held(1500), "eth1": Held(1400, ("192.0.2.1",))},
            Seat("192.0.2.1", "eth1", 1400),
            id="on another interface",
        ),
        pytest.param({"lo": LO, "eth1": Held(1500, ("192.0.2.9",))}, None, id="interface gone"),
        pytest.param({"eth0": Held(1500, ("2001:db8::1",))}, None, id="other family alone"),
    ],
)
def test_a_node_goes_with_its_interface(interfaces: dict[str, Held], now: Seat | None) -> None:
    assert follow(SEAT, interfaces) == now
