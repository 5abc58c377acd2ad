"""The versions of a service's spec: how they are remembered, and going back to one. Pure.

Every version but the present one is in `Service.history` once, latest first, with the time at
which it was replaced. Going back to a version takes its old number along, so that tasks made from
it are up to date again; the one that was left is remembered in turn. `previous_spec` is the last
one left, as swarm mode has it, and is in the history as well.

A service travels whole with each of its writes, so the history is limited in bytes, too.
"""

from __future__ import annotations

import msgspec
from msgspec.structs import replace

from swarmd.model.cluster import DEFAULT_SPEC_HISTORY, Cluster
from swarmd.model.instant import Instant
from swarmd.model.service import PastSpec, Service, UpdateStatus
from swarmd.model.spec import ServiceSpec
from swarmd.model.states import UpdateState

HISTORY_BYTES_MAX = 512 * 1024


def limit_of(cluster: Cluster | None) -> int:
    """How many earlier specs of each service are kept."""
    return cluster.spec.orchestration.spec_history_limit if cluster else DEFAULT_SPEC_HISTORY


def past(service: Service) -> tuple[PastSpec, ...]:
    """Every version to go back to, latest first."""
    if service.previous_spec is None or find(service, service.previous_spec_version) is not None:
        return service.history
    previous = PastSpec(spec=service.previous_spec, spec_version=service.previous_spec_version)
    return (previous, *service.history)


def find(service: Service, spec_version: int) -> PastSpec | None:
    """A remembered version; None for the present one, too."""
    for version in service.history:
        if version.spec_version == spec_version:
            return version
    return None


def updated(service: Service, spec: ServiceSpec, *, now: Instant, limit: int) -> Service:
    """The service with a new spec; an update in progress is forgotten.

    The version of the record that it replaces numbers the new spec, as no other can have it.
    """
    return replace(_left(service, spec, service.version, now=now, limit=limit), update_status=None)


def gone_back(service: Service, to: PastSpec, *, now: Instant, limit: int, message: str) -> Service:
    """The service on its way back to a version of its past."""
    status = UpdateStatus(state=UpdateState.ROLLBACK_STARTED, started_at=now, message=message)
    left = _left(service, to.spec, to.spec_version, now=now, limit=limit)
    return replace(left, update_status=status)


def _left(
    service: Service, spec: ServiceSpec, spec_version: int, *, now: Instant, limit: int
) -> Service:
    present = PastSpec(service.spec, spec_version=service.spec_version, replaced_at=now)
    others = (version for version in past(service) if version.spec_version != spec_version)
    return replace(
        service,
        spec=spec,
        spec_version=spec_version,
        previous_spec=service.spec,
        previous_spec_version=service.spec_version,
        history=_trimmed((present, *others), limit),
    )


def _trimmed(versions: tuple[PastSpec, ...], limit: int) -> tuple[PastSpec, ...]:
    kept: list[PastSpec] = []
    room = HISTORY_BYTES_MAX
    for version in versions[: max(limit, 0)]:
        room -= len(msgspec.msgpack.encode(version))
        if room < 0:
            break
        kept.append(version)
    return tuple(kept)
