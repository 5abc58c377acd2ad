"""Decisions about callers: whose identity counts, and what it permits.

Every refusal is PERMISSION_DENIED with the reason. Checks run per call, against the state of the
moment: a connection outlives demotions and removals, a decision does not.
"""

from __future__ import annotations

import functools

from swarmd.model.errors import Code, Rejection
from swarmd.rpc.call import Peer
from swarmd.rpc.identity import Identity
from swarmd.rpc.metadata import Field, Metadata
from swarmd.rpc.roles import Access

FORWARDED = "forwarded_cert"
FORWARDED_NODE = "forwarded_cert_cn"
FORWARDED_CLUSTER = "forwarded_cert_org"
FORWARDED_ROLE = "forwarded_cert_ou"
REMOTE_ADDR = "remote_addr"
REDIRECT = "redirect"
LINE = "swarmd-line"
_FORWARDING_KEYS = (FORWARDED_NODE, FORWARDED_CLUSTER, FORWARDED_ROLE)
_RESERVED = frozenset(
    key.encode() for key in (FORWARDED, *_FORWARDING_KEYS, REMOTE_ADDR, REDIRECT, LINE)
)
CALLERS_REMEMBERED = 4096


def _denied(message: str) -> Rejection:
    return Rejection(Code.PERMISSION_DENIED, message)


def check_member(identity: Identity, *, cluster_id: str, removed: bool) -> None:
    """Raise unless the certificate is one of a present member of this cluster."""
    if identity.cluster_id != cluster_id:
        raise _denied(
            f"node {identity.node_id} has a certificate of cluster {identity.cluster_id}; "
            f"this is cluster {cluster_id}"
        )
    if removed:
        raise _denied(f"node {identity.node_id} was removed from this cluster")


def originator(peer: Peer, metadata: Metadata) -> Peer:
    """The node a call comes from: the peer itself, or whom a forwarding manager vouches for.

    The peer's own membership must have been checked before.

    Raises:
        Rejection: forwarding metadata from someone who is no manager, or not all of it.
    """
    if FORWARDED not in metadata:
        return peer
    if peer.local:
        return peer
    if peer.identity is None or not peer.identity.is_manager:
        raise _denied("only a manager may forward calls for others")
    if any(key not in metadata for key in _FORWARDING_KEYS):
        raise _denied("a forwarded call without the full identity of its caller")
    node_id = metadata.get(FORWARDED_NODE) or ""
    identity = None
    if node_id:
        identity = Identity(
            node_id=node_id,
            cluster_id=metadata.get(FORWARDED_CLUSTER) or "",
            roles=tuple(metadata.all(FORWARDED_ROLE)),
        )
    return Peer(
        identity=identity,
        address=metadata.get(REMOTE_ADDR) or "",
        forwarded=True,
        via=peer.identity.node_id,
        line=metadata.get(LINE) or "",
    )


def check_access(caller: Peer, access: Access, *, method: str) -> None:
    """Raise unless `caller`, whose membership was checked, may call `method`."""
    if access.open or caller.local:
        return
    if caller.identity is None:
        raise _denied(f"{method} needs a node certificate")
    if not access.roles.intersection(caller.identity.roles):
        held = ", ".join(caller.identity.roles) or "none"
        raise _denied(f"{method} is not open to node {caller.identity.node_id} with role {held}")


def forwarding_metadata(caller: Peer, *, own_address: str) -> list[tuple[str, str]]:
    """What a manager adds to a call it passes on to the leader.

    A local call becomes the manager's own: it carries no identity but the connection's.
    """
    added = [(REDIRECT, own_address)]
    if caller.local:
        return added
    identity = caller.identity
    added += [
        (FORWARDED, "true"),
        (FORWARDED_NODE, identity.node_id if identity else ""),
        (FORWARDED_CLUSTER, identity.cluster_id if identity else ""),
        (REMOTE_ADDR, caller.address),
    ]
    # An entry is always there, even if empty: its absence would read as incomplete.
    roles = (identity.roles if identity else ()) or ("",)
    return added + [(FORWARDED_ROLE, role) for role in roles]


@functools.lru_cache(maxsize=CALLERS_REMEMBERED)
def forwarding_fields(caller: Peer, *, own_address: str) -> tuple[Field, ...]:
    """`forwarding_metadata` as it travels; remembered, as an agent calls every second."""
    return Metadata.of(*forwarding_metadata(caller, own_address=own_address)).fields


def without_forwarding(metadata: Metadata) -> Metadata:
    """Metadata of a call as its caller sent it, without anything that claims to be forwarding."""
    if not any(name in _RESERVED for name, _ in metadata.fields):
        return metadata
    return Metadata(field for field in metadata.fields if field[0] not in _RESERVED)
