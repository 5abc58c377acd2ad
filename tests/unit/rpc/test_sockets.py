from __future__ import annotations

import pytest

from swarmd.rpc.sockets import format_address, split_address


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("192.0.2.1:2377", ("192.0.2.1", 2377)),
        ("manager.example:1", ("manager.example", 1)),
        ("[2001:db8::1]:2377", ("2001:db8::1", 2377)),
    ],
)
def test_addresses_are_split(address: str, expected: tuple[str, int]) -> None:
    assert split_address(address) == expected
    assert format_address(expected) == address


@pytest.mark.parametrize(
    "address", ["", "host", "host:", ":1", "h:0", "h:65536", "::1:2377", "h:x"]
)
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(ValueError):
        split_address(address)


def test_names_of_other_sockets_are_no_address() -> None:
    assert format_address("/run/x.sock") == ""
    assert format_address(None) == ""
