"""How a simulated node gets its certificate: as the product does, but for keys and signatures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

from swarmd.model.errors import Rejection
from swarmd.model.states import Availability
from swarmd.node.authority import request_certificate
from swarmd.node.remote_authority import NODE_CA_SERVICE, RemoteNodeAuthority
from swarmd.rpc.channel import Channel
from swarmd.rpc.errors import RpcError
from swarmd.sim.identity import Papers, papers_of


async def obtain(
    addresses: Sequence[str],
    dial: Callable[[str], Channel],
    *,
    csr: bytes,
    token: str,
    rng: Random,
) -> Papers | None:
    """A certificate for `csr` from the first manager that gives one; None if none does.

    Args:
        token: shown by who has no certificate yet; else empty.
    """
    for address in rng.sample(list(addresses), len(addresses)):
        channel = dial(address)
        try:
            authority = RemoteNodeAuthority(channel.stub(NODE_CA_SERVICE), address)
            _, certificate = await request_certificate(
                authority, csr, token=token, availability=Availability.ACTIVE, rng=rng
            )
            return papers_of(certificate.certificate)
        except (RpcError, Rejection):
            continue
        finally:
            await channel.close()
    return None
