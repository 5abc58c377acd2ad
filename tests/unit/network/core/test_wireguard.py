"""What WireGuard needs between nodes."""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from swarmd.model.ids import NodeId
from swarmd.model.network_keys import IPSEC, NetworkKey
from swarmd.network.core.encryption import Peer, newest_first
from swarmd.network.core.wireguard import Wireguard, slot_of, wireguard

ME = Peer("10.99.1.1", NodeId("me"), "10.99.1.1:2377")
OTHER = Peer("10.99.1.2", NodeId("other"), "192.0.2.2:5377")


def ring(*times: int) -> tuple[NetworkKey, ...]:
    keys = [
        NetworkKey(subsystem=IPSEC, key=bytes([time]) * 16, lamport_time=time) for time in times
    ]
    return newest_first(keys, IPSEC)


def test_both_ends_agree_on_every_key_and_send_with_the_middle_one() -> None:
    keys = ring(5, 7, 9)
    mine, theirs = wireguard(ME, (OTHER,), keys), wireguard(OTHER, (ME,), keys)
    assert mine.sending == theirs.sending == slot_of(keys[1])
    assert len(mine.interfaces) == 3
    for here, there in zip(mine.interfaces, theirs.interfaces, strict=True):
        [remote], [me] = here.remotes, there.remotes
        assert (here.slot, remote.public_key) == (there.slot, there.public_key)
        assert me.public_key == here.public_key
        assert remote.shared == me.shared
        assert (remote.address, remote.port) == (OTHER.underlay, there.port)
        assert there.port == 5377 + there.slot
        assert here.port == 2377 + here.slot
        private = X25519PrivateKey.from_private_bytes(here.private_key)
        assert private.public_key().public_bytes_raw() == here.public_key


def test_no_two_nodes_or_keys_or_pairs_share_a_secret() -> None:
    third = Peer("10.99.1.3", NodeId("third"), "10.99.1.3:2377")
    all_of_them = [
        wireguard(ME, (OTHER, third), ring(5, 7, 9)),
        wireguard(third, (OTHER,), ring(5, 7, 9)),
    ]
    identities = {one.private_key for made in all_of_them for one in made.interfaces}
    pairs = {
        remote.shared for made in all_of_them for one in made.interfaces for remote in one.remotes
    }
    assert len(identities) == 6
    assert len(pairs) == 9


def test_a_new_key_takes_the_place_of_the_one_that_is_gone() -> None:
    before, after = wireguard(ME, (OTHER,), ring(5, 7, 9)), wireguard(ME, (OTHER,), ring(7, 9, 11))
    same = [x == y for x, y in zip(before.interfaces, after.interfaces, strict=True)]
    assert same.count(False) == 1
    assert after.sending == slot_of(ring(9)[0])
    # Whoever hasn't heard of it yet sends by one that is still there.
    assert before.interfaces[before.sending or 0] in after.interfaces


def test_of_keys_with_one_place_the_one_that_is_sent_with_has_it() -> None:
    made = wireguard(ME, (OTHER,), ring(3, 6, 9))
    [only] = made.interfaces
    assert only == wireguard(ME, (OTHER,), ring(6)).interfaces[0]


def test_peers_that_cannot_be_reached_are_left_out() -> None:
    silent = Peer("10.99.1.4", NodeId("silent"))
    of_other_family = Peer("fd00::1", NodeId("six"), "[fd00::1]:2377")
    assert wireguard(ME, (silent, of_other_family), ring(1, 2, 3)) == Wireguard()
    assert wireguard(ME, (OTHER,), ()) == Wireguard()
    assert wireguard(silent, (OTHER,), ring(1)) == Wireguard()


def test_no_secret_is_printed() -> None:
    made = wireguard(ME, (OTHER,), ring(5, 7, 9))
    for one in made.interfaces:
        for secret in (one.private_key, next(iter(one.remotes)).shared):
            assert repr(secret)[2:-1] not in repr(made)
            assert secret.hex() not in repr(made)
