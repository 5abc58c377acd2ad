"""The numbers that enums have on the wire, for every closed set of the model."""

from __future__ import annotations

from swarmd.model.states import (
    AddressFamily,
    AppArmorMode,
    Availability,
    Balance,
    Concurrency,
    FailureAction,
    IssuanceState,
    Membership,
    MissedRuns,
    MountType,
    NodeState,
    PortPolicy,
    Propagation,
    Protocol,
    PublishMode,
    ResolutionMode,
    RestartCondition,
    Role,
    RunOutcome,
    SeccompMode,
    StartOrder,
    Strategy,
    TaskState,
    UpdateOrder,
    UpdateState,
)
from swarmd.rpc.convert.codecs import enumeration
from swarmd.rpc.convert.table import Codec

TASK_STATE = enumeration({state: state.value for state in TaskState})
NODE_STATE = enumeration(
    {
        NodeState.UNKNOWN: 0,
        NodeState.DOWN: 1,
        NodeState.READY: 2,
        NodeState.DISCONNECTED: 3,
    }
)
ROLE = enumeration({Role.WORKER: 0, Role.MANAGER: 1})
MEMBERSHIP = enumeration({Membership.PENDING: 0, Membership.ACCEPTED: 1})
AVAILABILITY = enumeration(
    {Availability.ACTIVE: 0, Availability.PAUSE: 1, Availability.DRAIN: 2},
)
RESTART_CONDITION = enumeration(
    {RestartCondition.NONE: 0, RestartCondition.ON_FAILURE: 1, RestartCondition.ANY: 2},
    absent=RestartCondition.ANY,
)
FAILURE_ACTION = enumeration(
    {FailureAction.PAUSE: 0, FailureAction.CONTINUE: 1, FailureAction.ROLLBACK: 2}
)
UPDATE_ORDER = enumeration({UpdateOrder.STOP_FIRST: 0, UpdateOrder.START_FIRST: 1})
UPDATE_STATE = enumeration(
    {
        UpdateState.UPDATING: 1,
        UpdateState.PAUSED: 2,
        UpdateState.COMPLETED: 3,
        UpdateState.ROLLBACK_STARTED: 4,
        UpdateState.ROLLBACK_PAUSED: 5,
        UpdateState.ROLLBACK_COMPLETED: 6,
    }
)
MOUNT_TYPE = enumeration(
    {
        MountType.BIND: 0,
        MountType.VOLUME: 1,
        MountType.TMPFS: 2,
        MountType.NPIPE: 3,
        MountType.CLUSTER: 4,
        MountType.IMAGE: 1000,
    }
)
SECCOMP_MODE = enumeration(
    {SeccompMode.DEFAULT: 0, SeccompMode.UNCONFINED: 1, SeccompMode.CUSTOM: 2}
)
APPARMOR_MODE = enumeration({AppArmorMode.DEFAULT: 0, AppArmorMode.DISABLED: 1})
PROPAGATION = enumeration(
    {
        Propagation.RPRIVATE: 0,
        Propagation.PRIVATE: 1,
        Propagation.RSHARED: 2,
        Propagation.SHARED: 3,
        Propagation.RSLAVE: 4,
        Propagation.SLAVE: 5,
    }
)
PROTOCOL = enumeration({Protocol.TCP: 0, Protocol.UDP: 1, Protocol.SCTP: 2})
PUBLISH_MODE = enumeration({PublishMode.INGRESS: 0, PublishMode.HOST: 1})
BALANCE = enumeration({Balance.ROUND_ROBIN: 0, Balance.SOURCE_HASH: 1, Balance.LEAST_CONNECTION: 2})
PORT_POLICY = enumeration({PortPolicy.SOURCE: 0, PortPolicy.MASQUERADE: 1, PortPolicy.LOCAL: 2})
RESOLUTION_MODE = enumeration({ResolutionMode.VIP: 0, ResolutionMode.DNSRR: 1})
ISSUANCE_STATE = enumeration(
    {
        IssuanceState.UNKNOWN: 0,
        IssuanceState.RENEW: 1,
        IssuanceState.PENDING: 2,
        IssuanceState.ISSUED: 3,
        IssuanceState.FAILED: 4,
        IssuanceState.ROTATE: 5,
    }
)
ADDRESS_FAMILY = enumeration(
    {AddressFamily.UNKNOWN: 0, AddressFamily.IPV4: 4, AddressFamily.IPV6: 6}
)
CONCURRENCY = enumeration({Concurrency.FORBID: 0, Concurrency.ALLOW: 1, Concurrency.REPLACE: 2})
MISSED_RUNS = enumeration({MissedRuns.ONCE: 0, MissedRuns.SKIP: 1, MissedRuns.ALL: 2})
RUN_OUTCOME = enumeration(
    {
        RunOutcome.RUNNING: 0,
        RunOutcome.SUCCEEDED: 1,
        RunOutcome.FAILED: 2,
        RunOutcome.REPLACED: 3,
    }
)
START_ORDER = enumeration({StartOrder.ORDERED: 0, StartOrder.PARALLEL: 1})
_STRATEGIES = {Strategy.SPREAD: 1, Strategy.BINPACK: 2, Strategy.RANDOM: 3}


def _strategy(open_means: Strategy | None) -> Codec:
    """The number 0 is no strategy of its own: it leaves the choice to `open_means`."""
    known = enumeration(_STRATEGIES)

    def put(message: object, name: str, value: Strategy | None) -> None:
        if value is not None:
            known.put(message, name, value)

    def get(message: object, name: str) -> Strategy | None:
        found: Strategy | None = known.get(message, name) if getattr(message, name) else open_means
        return found

    return Codec(put, get)


STRATEGY_OR_NONE = _strategy(None)
STRATEGY = _strategy(Strategy.SPREAD)
