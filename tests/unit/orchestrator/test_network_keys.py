"""The ring of network keys: three generations, replaced every twelve hours."""

from __future__ import annotations

import pytest

from swarmd.model.cluster import Cluster
from swarmd.model.ids import ClusterId
from swarmd.model.instant import HOUR, Instant
from swarmd.model.network_keys import GOSSIP, IPSEC, KEY_BYTES
from swarmd.network.core.encryption import newest_first, sending
from swarmd.orchestrator.network_keys import ENTROPY_BYTES, due_at, rotated

NEW = Cluster(id=ClusterId("c"))


def entropy(first: int) -> bytes:
    return bytes((first + number) % 256 for number in range(ENTROPY_BYTES))


def test_a_new_swarm_gets_three_keys_for_each_subsystem_at_once() -> None:
    assert due_at(NEW) == 0
    cluster = rotated(NEW, entropy(0), Instant(HOUR))
    assert [key.subsystem for key in cluster.network_bootstrap_keys] == [GOSSIP] * 3 + [IPSEC] * 3
    assert {len(key.key) for key in cluster.network_bootstrap_keys} == {KEY_BYTES}
    assert len({key.key for key in cluster.network_bootstrap_keys}) == 6
    assert due_at(cluster) == 13 * HOUR


def test_the_oldest_key_goes_and_the_one_to_send_with_was_known_before() -> None:
    cluster = rotated(NEW, entropy(0), Instant(0))
    before = newest_first(cluster.network_bootstrap_keys, IPSEC)
    after = newest_first(rotated(cluster, entropy(100), Instant(1)).network_bootstrap_keys, IPSEC)
    assert after[1:] == before[:2]
    assert after[0].lamport_time > before[0].lamport_time
    assert sending(before) is before[1]
    assert sending(after) == before[0]  # the newest that everybody knew until now


def test_keys_are_made_of_enough_randomness_or_not_at_all() -> None:
    with pytest.raises(AssertionError, match="bytes of entropy"):
        rotated(NEW, bytes(16), Instant(0))


def test_keys_do_not_show_in_representations() -> None:
    cluster = rotated(NEW, b"\xabsecret" * 100, Instant(0))
    assert "secret'" not in repr(cluster)
    assert "\\xab" not in repr(cluster)
