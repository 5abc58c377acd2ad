"""The numbers that enums have on the wire, for every closed set of the model."""

from __future__ import annotations

from swarmd.model.states import (
    Availability,
    FailureAction,
    IssuanceState,
    Membership,
    NodeState,
    Protocol,
    PublishMode,
    ResolutionMode,
    RestartCondition,
    Role,
    TaskState,
    UpdateOrder,
    UpdateState,
)
from swarmd.rpc.convert.codecs import enumeration

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
PROTOCOL = enumeration({Protocol.TCP: 0, Protocol.UDP: 1, Protocol.SCTP: 2})
PUBLISH_MODE = enumeration({PublishMode.INGRESS: 0, PublishMode.HOST: 1})
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
