"""Networks: what was asked for, and the addresses and driver that the managers gave them."""

from __future__ import annotations

import enum
from collections.abc import Mapping

from swarmd.model.ids import NetworkId
from swarmd.model.instant import Instant
from swarmd.model.record import Record
from swarmd.model.spec import Driver
from swarmd.model.states import AddressFamily

INGRESS_NAME = "ingress"
OVERLAY = "overlay"
# Drivers whose networks are made by each node for itself: nothing is allocated for them.
NODE_LOCAL_DRIVERS = ("bridge", "host", "ipvlan", "macvlan")
VXLAN_IDS_OPTION = "com.docker.network.driver.overlay.vxlanid_list"
# Options of an overlay that its nodes heed; the first is set by being there.
ENCRYPTED_OPTION = "encrypted"
MTU_OPTION = "com.docker.network.driver.mtu"
# Which mechanism encrypts an encrypted network on all of its nodes, chosen when it is created.
MECHANISM_OPTION = "swarmd.encryption"
OFF = ("false", "0", "no", "off")
PREDEFINED_LABEL = "com.docker.swarm.predefined"


class Mechanism(enum.Enum):
    """How the packets of an encrypted network are encrypted between nodes."""

    WIREGUARD = "wireguard"  # the kernel's, around VXLAN
    IPSEC = "ipsec"  # the kernel's, too
    TUNNEL = "tunnel"  # this daemon's: VXLAN within TLS


class IPAMConfig(Record, frozen=True):
    """One block of addresses, in CIDR notation; `range` narrows what tasks are given."""

    family: AddressFamily = AddressFamily.UNKNOWN
    subnet: str = ""
    range: str = ""
    gateway: str = ""
    reserved: Mapping[str, str] = {}


class IPAMOptions(Record, frozen=True):
    driver: Driver | None = None
    configs: tuple[IPAMConfig, ...] = ()


class NetworkSpec(Record, frozen=True):
    name: str = ""
    labels: Mapping[str, str] = {}
    driver_config: Driver | None = None  # absent: overlay
    ipv6_enabled: bool = False
    internal: bool = False
    ipam: IPAMOptions | None = None
    attachable: bool = False
    ingress: bool = False
    config_from: str = ""


class Network(Record, frozen=True):
    """`driver_state` and `ipam` are what was allocated; absent until then."""

    id: NetworkId
    version: int = 0
    created_at: Instant = Instant(0)
    updated_at: Instant = Instant(0)
    spec: NetworkSpec = NetworkSpec()
    driver_state: Driver | None = None
    ipam: IPAMOptions | None = None


class NetworkAttachment(Record, frozen=True):
    """A task's, or a node's, place in a network; addresses are in CIDR notation."""

    network_id: NetworkId = NetworkId("")
    addresses: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    driver_opts: Mapping[str, str] = {}


class VirtualIP(Record, frozen=True):
    """The address of a service on one network, in CIDR notation."""

    network_id: NetworkId = NetworkId("")
    addr: str = ""


def driver_of(spec: NetworkSpec) -> str:
    """The driver's name; a spec that names none means overlay."""
    return (spec.driver_config.name if spec.driver_config else "") or OVERLAY


def is_node_local(network: Network) -> bool:
    """Whether each node makes the network for itself, so that the swarm gives it no addresses."""
    return driver_of(network.spec) in NODE_LOCAL_DRIVERS


def has_addresses(network: Network) -> bool:
    """Whether the swarm gives out addresses on the network: it was given a block of them."""
    return not is_node_local(network) and bool(network.ipam and network.ipam.configs)


def is_encrypted(network: Network) -> bool:
    """Whether its packets must not be readable between nodes; the option alone means yes."""
    options = network.driver_state.options if network.driver_state else {}
    return options.get(ENCRYPTED_OPTION, OFF[0]).lower() not in OFF


def mechanism_of(network: Network) -> Mechanism | None:
    """What encrypts the network; None when nothing does, or what this version doesn't know."""
    if not is_encrypted(network):
        return None
    options = network.driver_state.options if network.driver_state else {}
    named = options.get(MECHANISM_OPTION, Mechanism.TUNNEL.value)
    return next((one for one in Mechanism if one.value == named), None)


def vxlan_ids(network: Network) -> tuple[str, ...]:
    """The VXLAN ids of the network's blocks of addresses, in their order."""
    options = network.driver_state.options if network.driver_state else {}
    return tuple(number for number in options.get(VXLAN_IDS_OPTION, "").split(",") if number)
