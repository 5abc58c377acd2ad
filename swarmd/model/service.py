"""Services: a spec, its history, and what the managers have made of it."""

from __future__ import annotations

from swarmd.model.ids import ServiceId
from swarmd.model.instant import Instant
from swarmd.model.network import VirtualIP
from swarmd.model.record import Record
from swarmd.model.spec import EndpointSpec, PortConfig, ServiceSpec
from swarmd.model.states import RunOutcome, UpdateState


class Endpoint(Record, frozen=True):
    """A service's published face: `ports` is the spec's list with every port number chosen."""

    spec: EndpointSpec | None = None
    ports: tuple[PortConfig, ...] = ()
    virtual_ips: tuple[VirtualIP, ...] = ()


class JobStatus(Record, frozen=True):
    """Which run of a job is current, and when it began."""

    job_iteration: int = 0
    last_execution: Instant = Instant(0)


class CronRun(Record, frozen=True):
    """One run of a cron service; its tasks carry its `iteration`."""

    iteration: int
    due_at: Instant = Instant(0)
    started_at: Instant = Instant(0)
    ended_at: Instant = Instant(0)  # 0 while it is going
    outcome: RunOutcome = RunOutcome.RUNNING


class CronStatus(Record, frozen=True):
    """How far a schedule has been followed: runs due up to `considered_until` are settled."""

    considered_until: Instant = Instant(0)
    missed: int = 0  # runs skipped by policy, ever
    runs: tuple[CronRun, ...] = ()  # that are going or remembered, oldest first


class PastSpec(Record, frozen=True):
    """A spec the service had before, for going back to it."""

    spec: ServiceSpec
    spec_version: int = 0
    replaced_at: Instant = Instant(0)


class UpdateStatus(Record, frozen=True):
    state: UpdateState
    started_at: Instant = Instant(0)
    completed_at: Instant = Instant(0)
    message: str = ""
    failures: int = 0  # new tasks that failed so far, as far as the updater has written it down
    resumed_at: Instant = Instant(0)  # when a user let it go on; failures before are forgiven


class Service(Record, frozen=True):
    id: ServiceId
    spec: ServiceSpec
    version: int = 0  # log index of the last change of any kind
    created_at: Instant = Instant(0)
    updated_at: Instant = Instant(0)
    spec_version: int = 0  # counts spec changes; tasks carry the one they were made from
    previous_spec: ServiceSpec | None = None
    previous_spec_version: int = 0
    endpoint: Endpoint | None = None
    update_status: UpdateStatus | None = None
    job_status: JobStatus | None = None  # jobs and cron only
    cron_status: CronStatus | None = None
    history: tuple[PastSpec, ...] = ()  # latest first; see `versions`, which keeps it
