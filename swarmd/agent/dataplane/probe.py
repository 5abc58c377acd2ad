"""Finding out, when the daemon starts, what connects tasks on this machine.

Nothing is concluded from versions: everything the data plane is made of is made once in a scratch
namespace. The kernel's parts are of use to one daemon per network namespace only, which holds a
socket of an abstract name, so that the claim ends with its process whatever happens to it.

An ordinary user's daemon is in an enclave (`runtime.enclave`), where it may make networks and not
change the machine's own. There an inner namespace takes the place of the node's.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from collections.abc import Mapping
from pathlib import Path

from swarmd.model.network import Mechanism
from swarmd.network import ferry, inner
from swarmd.network.core.overlay_plan import VXLAN_PORT, Underlay
from swarmd.network.crypt import encryption
from swarmd.network.kernel import links, netns, nft
from swarmd.network.kernel.netlink import Request, open_netlink
from swarmd.network.tasks import INNER
from swarmd.network.underlay import find_underlay
from swarmd.runtime import enclave

CLAIM = "\0swarmd-dataplane"
SCRATCH_VXLAN = 2**24 - 1
_SETTINGS = Path("/proc/sys")
# Each keeps users from making user namespaces when it is set so.
_CLOSED = {
    "user.max_user_namespaces": "0",
    "kernel.unprivileged_userns_clone": "0",
    "kernel.apparmor_restrict_unprivileged_userns": "1",
}
_RULES = """
table ip scratch {
  chain c {
    type nat hook output priority -100;
    ct mark set numgen inc mod 2 map { 0 : 0x1, 1 : 0x2 }
    ip daddr 192.0.2.1 dnat to ct mark map { 0x1 : 192.0.2.2, 0x2 : 192.0.2.3 }
  }
}
"""


class Ground:
    """What was found.

    `underlay` is None where there can be no overlays, and `lacking` says why. `inner` is the
    namespace to use for the node's own; None: that itself.
    """

    def __init__(
        self,
        *,
        underlay: Underlay | None,
        lacking: str,
        claim: socket.socket | None,
        unencrypted: Mapping[Mechanism, str] | None = None,
        inner: Path | None = None,
    ) -> None:
        self.underlay = underlay
        self.lacking = lacking
        self.unencrypted = unencrypted or {}  # ways to encrypt that there aren't, and why
        self.inner = inner
        self._claim = claim

    def close(self) -> None:
        """Leave the network namespace to another daemon."""
        if self._claim is not None:
            self._claim.close()


def probe(data_addr: str, directory: Path) -> Ground:
    """Look what this machine allows; blocks for some 20 ms.

    Args:
        directory: where namespaces can be made.
    """
    underlay = find_underlay(data_addr)
    if isinstance(underlay, str):
        return _without(underlay)
    missing = nft.missing()
    if missing:
        return _without(missing)
    if enclave.is_inside() and not enclave.owns_network():
        return _probe_inside(underlay, directory)
    claim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        claim.bind(CLAIM)
    except OSError:
        claim.close()
        return _without("another swarmd daemon uses the kernel's part in this network namespace")
    lacking = _try(underlay, directory / f"probe-{os.getpid()}", node=None)
    if lacking:
        claim.close()
        return _without(lacking)
    return Ground(underlay=underlay, lacking="", claim=claim, unencrypted=encryption.lacking())


def _probe_inside(underlay: Underlay, directory: Path) -> Ground:
    """What there is in an enclave. Each has networks of its own, which nobody else can claim."""
    nft.settle_in()
    place = directory / INNER
    try:
        inner.make(place)
        inner.open_outlet(place, own=underlay.address).close()
    except (OSError, nft.NftError) as error:
        return _without(f"no networks can be made in the daemon's user namespace ({error})")
    lacking = ferry.missing(place) or _try(underlay, directory / f"probe-{os.getpid()}", node=place)
    if lacking:
        netns.remove(place)
        return _without(lacking)
    by_root = "it takes root to send such packets from the machine"
    return Ground(
        underlay=underlay,
        lacking="",
        claim=None,
        unencrypted=dict.fromkeys((Mechanism.WIREGUARD, Mechanism.IPSEC), by_root),
        inner=place,
    )


def _without(lacking: str) -> Ground:
    return Ground(underlay=None, lacking=lacking, claim=None)


def _try(underlay: Underlay, scratch: Path, *, node: Path | None) -> str:
    """Make one of everything; a phrase saying what can't be made, empty when all can."""
    step = "network namespaces"
    try:
        netns.create(scratch)
        with open_netlink(scratch) as own, open_netlink(node) as outer, open(scratch) as namespace:
            step = "bridges"
            own.do(links.bridge("br0"))
            step = "pairs of interfaces"
            own.do(links.pair("one", peer="other", peer_namespace=namespace.fileno()))
            step = "VXLAN interfaces"
            made = outer.attempt([_vxlan(underlay, namespace.fileno())])
            # That a number is taken shows that there are VXLANs.
            if made and made[0].errno != errno.EEXIST:
                raise made[0]
        step = "nftables with address translation"
        netns.inside(scratch, lambda: nft.run(_RULES))
    except (OSError, nft.NftError) as error:
        if isinstance(error, PermissionError):
            return rights(_settings())
        return f"the kernel has no {step} ({error})"
    finally:
        _remove(scratch)
    return ""


def rights(settings: Mapping[str, str]) -> str:
    """What a user without privileges can do to have the kernel's part.

    Args:
        settings: of the kernel, by name, as far as it has them.
    """
    closed = [f"{name}={value}" for name, value in _CLOSED.items() if settings.get(name) == value]
    if closed:
        return (
            "it takes root; a user namespace would do as well, but this machine allows none "
            f"(sysctl {', '.join(closed)})"
        )
    return (
        "it takes root, or a user namespace with a network of its own, in which an interface has "
        "an address (unshare -Urnm swarmd daemon …)"
    )


def _settings() -> dict[str, str]:
    found = {}
    for name in _CLOSED:
        with contextlib.suppress(OSError):
            found[name] = (_SETTINGS / name.replace(".", "/")).read_text().strip()
    return found


def _vxlan(underlay: Underlay, namespace: int) -> Request:
    return links.vxlan(
        "vx0",
        vxlan_id=SCRATCH_VXLAN,
        port=VXLAN_PORT,
        local=underlay.address,
        mac="",
        mtu=0,
        namespace=namespace,
    )


def _remove(scratch: Path) -> None:
    if not netns.exists(scratch):
        return
    with open_netlink(scratch) as inner:
        inner.attempt([links.delete("vx0")])
    netns.remove(scratch)
