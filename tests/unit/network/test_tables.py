from __future__ import annotations

import pytest

from swarmd.network.core.tables import mac_of


@pytest.mark.parametrize(
    ("address", "mac"),
    [
        ("10.0.1.255", "02:42:0a:00:01:ff"),
        ("fd00::1", "02:46:00:00:00:01"),
        ("fd00::a:102:304", "02:46:01:02:03:04"),
    ],
)
def test_the_hardware_address_follows_from_the_address(address: str, mac: str) -> None:
    assert mac_of(address) == mac
