"""A node whose address changes."""

from __future__ import annotations

from swarmd.node.moving import moved
from swarmd.node.settings import Remote, Settings


def test_all_that_names_the_old_address_names_the_new_one() -> None:
    before = Settings(
        listen_addr="192.0.2.1:2377",
        advertise_addr="192.0.2.1:2378",
        data_addr="192.0.2.1",
        remotes=(Remote("me", "192.0.2.1:2378"), Remote("other", "192.0.2.2:2377")),
    )
    assert moved(before, "me", "192.0.2.7") == Settings(
        listen_addr="192.0.2.7:2377",
        advertise_addr="192.0.2.7:2378",
        data_addr="192.0.2.7",
        remotes=(Remote("me", "192.0.2.7:2378"), Remote("other", "192.0.2.2:2377")),
    )


def test_addresses_that_were_given_apart_stay() -> None:
    before = Settings(
        listen_addr="0.0.0.0:2377",
        advertise_addr="[2001:db8::1]:2377",
        data_addr="10.0.0.1",
        remotes=(Remote("other", "10.0.0.1:2377"),),  # has taken over what was this node's
    )
    after = moved(before, "me", "10.0.0.9")
    assert after.data_addr == "10.0.0.9"
    assert (after.listen_addr, after.advertise_addr) == ("0.0.0.0:2377", "[2001:db8::1]:2377")
    assert after.remotes == before.remotes
