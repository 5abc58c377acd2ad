"""Encryption by the kernel: IPsec in transport mode around VXLAN packets.

Every node understands all keys of the ring and sends with the middle one, so keys are replaced
without anybody waiting for anybody. What the kernel holds outlives the daemon.
"""

from __future__ import annotations

from pathlib import Path

from swarmd.model.network import Mechanism
from swarmd.network.core.encryption import Association, Ipsec
from swarmd.network.core.overlay_plan import VXLAN_PORT
from swarmd.network.crypt.guard import MARKS
from swarmd.network.kernel import xfrm
from swarmd.network.kernel.netlink import Request
from swarmd.network.kernel.xfrm import Policy, State

_MARK = MARKS[Mechanism.IPSEC]


def bring(wanted: Ipsec, *, node: Path | None = None) -> int:
    """Have the kernel hold this and nothing else of ours; how many steps that took. Blocks.

    New associations come before the policies that need them, old ones go after.

    Raises:
        OSError: the kernel refuses.
    """
    secrets = {_state(one): one.secret for one in wanted.associations}
    sending = {Policy(one.source, one.target, one.spi) for one in wanted.sending.values()}
    with xfrm.open_xfrm(node) as netlink:
        present, used = xfrm.states(netlink), xfrm.policies(netlink, mark=_MARK)
        ends = {(policy.source, policy.target) for policy in sending}
        requests: list[Request] = [
            *(xfrm.put_state(state, secrets[state]) for state in sorted(secrets.keys() - present)),
            *(
                xfrm.put_policy(policy, port=VXLAN_PORT, mark=_MARK)
                for policy in sorted(sending - used)
            ),
            *(
                xfrm.delete_policy(policy, port=VXLAN_PORT, mark=_MARK)
                for policy in sorted(used - sending)
                if (policy.source, policy.target) not in ends
            ),
            *(xfrm.delete_state(state) for state in sorted(present - secrets.keys())),
        ]
        netlink.do(*requests)
    return len(requests)


def _state(one: Association) -> State:
    return State(one.source, one.target, one.spi)
