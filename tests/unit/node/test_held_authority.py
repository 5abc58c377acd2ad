"""A manager that is alone signs its own certificate when nobody would accept the old one."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from msgspec.structs import replace

from swarmd.ca.keystore import Keystore
from swarmd.model.errors import Rejection
from swarmd.model.instant import HOUR, Instant
from swarmd.model.states import Role
from swarmd.node.held_authority import has_expired, renew_at_home
from swarmd.node.security import SecurityContext
from swarmd.store.changes import Update
from tests.support.authority import MemoryAuthority

DAY = 24 * HOUR


class Founder:
    """The first manager of the cluster in `authority`, long after its certificate expired."""

    def __init__(self, path: Path) -> None:
        self.authority = MemoryAuthority()
        self.keystore = Keystore(path)
        credentials = self.authority.founding.credentials
        self.keystore.save(credentials)
        self.security = SecurityContext(credentials, self.keystore)
        self.authority.clock.advance(200 * DAY)

    def has_expired(self) -> bool:
        return has_expired(self.security, Instant(self.authority.clock.now()))

    async def renew(self) -> None:
        authority = self.authority
        await renew_at_home(
            self.security,
            authority.store,
            authority.writer,
            clock=authority.clock,
            rng=random.Random(1),
        )


@pytest.fixture
def founder(tmp_path: Path) -> Founder:
    return Founder(tmp_path / "certificates")


async def test_an_expired_certificate_is_replaced_everywhere(founder: Founder) -> None:
    assert founder.has_expired()
    await founder.renew()
    assert not founder.has_expired()
    after = founder.security.credentials
    assert (after.node_id, after.role) == ("n1", Role.MANAGER)
    assert founder.keystore.load() == after
    assert founder.authority.store.get_node("n1").certificate.certificate == after.cert_pem


async def test_a_cluster_without_its_key_says_so_and_changes_nothing(founder: Founder) -> None:
    before = founder.security.credentials
    cluster = founder.authority.store.cluster()
    keyless = replace(cluster, root_ca=replace(cluster.root_ca, ca_key=b""))
    founder.authority.writer.write(Update(keyless, base=cluster.version))
    with pytest.raises(Rejection, match="can't sign certificates"):
        await founder.renew()
    assert founder.security.credentials == before
