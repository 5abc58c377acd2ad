"""Networks encrypted by the kernel's IPsec; where this one has none, `make test-ipvs` has one."""

from __future__ import annotations

import os

import pytest

from swarmd.model.network import Mechanism
from swarmd.network.crypt.guard import MARKS
from swarmd.network.kernel import xfrm
from swarmd.network.kernel.xfrm import delete_state, states
from tests.support.crypt_contract import CryptContract, Member, crypt_world, ring
from tests.support.sniffing import sniffing

ESP = 50
pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="namespaces need root"),
    pytest.mark.skipif(bool(xfrm.missing()), reason=xfrm.missing() or "-"),
]


class TestIpsec(CryptContract):
    mechanism = Mechanism.IPSEC

    def break_it(self, member: Member) -> None:
        with xfrm.open_xfrm(member.path) as netlink:
            netlink.do(*(delete_state(state) for state in states(netlink)))


async def test_packets_pass_as_esp_and_three_keys_are_understood() -> None:
    async with crypt_world(Mechanism.IPSEC) as w:
        with sniffing(w.members["n2"].path, "eth0") as tap:
            await w.settle()
            assert ESP in tap.protocols()
        with xfrm.open_xfrm(w.members["n1"].path) as netlink:
            known = states(netlink)
            [policy] = xfrm.policies(netlink, mark=MARKS[Mechanism.IPSEC])
        assert sum(state.target == w.members["n1"].underlay.address for state in known) == 3
        assert policy.spi in {state.spi for state in known}


async def test_who_has_other_keys_gets_nothing_and_is_not_listened_to() -> None:
    async with crypt_world(Mechanism.IPSEC) as w:
        await w.settle()
        one = w.members["n1"]
        one.encryption.use_keys(ring(100))
        await one.apply(w.table)
        assert not await w.reaches(within_s=0.3)
        assert not await w.reaches("n2", "n1", within_s=0.3)


async def test_nothing_is_left_of_a_network_that_is_gone() -> None:
    async with crypt_world(Mechanism.IPSEC) as w:
        one = w.members["n1"]
        await one.encryption.apply({})
        with xfrm.open_xfrm(one.path) as netlink:
            assert not states(netlink)
            assert not xfrm.policies(netlink, mark=MARKS[Mechanism.IPSEC])
