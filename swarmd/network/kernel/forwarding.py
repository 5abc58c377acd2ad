"""Having a namespace pass packets on between its interfaces, and whether it knows IPv6 at all.

To be called inside of the namespace (`netns.inside`).
"""

from __future__ import annotations

from pathlib import Path

from swarmd.network.kernel import sysctl

_INTERFACES = Path("/proc/sys/net/ipv6/conf")
_EVERYWHERE = "ipv6/conf/all/forwarding"
# Advertised routes are learnt by hosts (1), or also by who passes packets on (2).
_BY_HOSTS, _BY_ALL = "1", "2"


def has_ipv6() -> bool:
    """Whether IPv6 is there and not switched off."""
    return sysctl.get("ipv6/conf/all/disable_ipv6") == "0"


def have_ipv6_on(interface: str) -> None:
    """Have an interface that leads to tasks take IPv6, and no advertisements of theirs.

    Raises:
        OSError: the kernel refuses.
    """
    settings = {"disable_ipv6": "0", "accept_ra": "0", "accept_redirects": "0"}
    sysctl.put({f"ipv6/conf/{interface}/{name}": value for name, value in settings.items()})


def pass_on_ipv4() -> None:
    """Raises: OSError, where the kernel refuses."""
    sysctl.put({"ipv4/ip_forward": "1"})


def pass_on_ipv6() -> None:
    """Pass on IPv6, without the namespace losing the routes that it learns from advertisements.

    The kernel forgets those of every interface that begins to pass packets on.

    Raises:
        OSError: the kernel refuses.
    """
    if sysctl.get(_EVERYWHERE) != "0":
        return
    learning = [
        f"ipv6/conf/{path.name}/accept_ra"
        for path in _INTERFACES.iterdir()
        # Interfaces to come are left at what they are told: they may lead to anybody.
        if path.name not in ("all", "default")
        and sysctl.get(f"ipv6/conf/{path.name}/accept_ra") == _BY_HOSTS
    ]
    sysctl.put({**dict.fromkeys(learning, _BY_ALL), _EVERYWHERE: "1"})
