"""`swarmd.v1.Updates`: pausing an update, going on with it, and going back to any version.

Each call writes what is wanted into the service's update status or spec; the updater obeys. So a
pause holds whoever leads, and a resumed update picks up the slots that are still of an old spec.
"""

from __future__ import annotations

from msgspec.structs import replace

from swarmd.manager.control.core import require, require_id
from swarmd.manager.control.services import ServiceCalls, previous_of
from swarmd.model import versions
from swarmd.model.errors import failed_precondition, invalid
from swarmd.model.service import PastSpec, Service, UpdateStatus
from swarmd.model.states import UpdateState
from swarmd.rpc.call import Call
from swarmd.rpc.pb import updates as pb

PAUSED = {
    UpdateState.UPDATING: UpdateState.PAUSED,
    UpdateState.ROLLBACK_STARTED: UpdateState.ROLLBACK_PAUSED,
}
RESUMED = {paused: active for active, paused in PAUSED.items()}
_WORDS = {
    UpdateState.PAUSED: "update paused by a user",
    UpdateState.ROLLBACK_PAUSED: "rollback paused by a user",
    UpdateState.UPDATING: "update resumed by a user",
    UpdateState.ROLLBACK_STARTED: "rollback resumed by a user",
}


class UpdateCalls(ServiceCalls):
    async def PauseUpdate(
        self, call: Call, request: pb.PauseUpdateRequest
    ) -> pb.PauseUpdateResponse:
        service_id = require_id(request.service_id, "service")
        require(request, "service_version")
        async with self.changing(service_id, request.service_version.index) as change:
            status = _in_state(change.old, PAUSED, "no update under way that could be paused")
            state = PAUSED[status.state]
            status = replace(status, state=state, message=_WORDS[state])
            await change.write(replace(change.old, update_status=status), _WORDS[state])
        return pb.PauseUpdateResponse()

    async def ResumeUpdate(
        self, call: Call, request: pb.ResumeUpdateRequest
    ) -> pb.ResumeUpdateResponse:
        """Go on; failures count anew, or the update would be paused again at once."""
        service_id = require_id(request.service_id, "service")
        require(request, "service_version")
        async with self.changing(service_id, request.service_version.index) as change:
            status = _in_state(change.old, RESUMED, "no paused update")
            state = RESUMED[status.state]
            status = replace(
                status, state=state, message=_WORDS[state], failures=0, resumed_at=change.now
            )
            await change.write(replace(change.old, update_status=status), _WORDS[state])
        return pb.ResumeUpdateResponse()

    async def RollBackService(
        self, call: Call, request: pb.RollBackServiceRequest
    ) -> pb.RollBackServiceResponse:
        service_id = require_id(request.service_id, "service")
        require(request, "service_version")
        async with self.changing(service_id, request.service_version.index) as change:
            past = (
                _version_of(change.old, request.spec_version.index)
                if request.HasField("spec_version")
                else previous_of(change.old)
            )
            await change.write(change.back(past), "rolled back by a user")
        return pb.RollBackServiceResponse()


def _in_state(service: Service, states: dict[UpdateState, UpdateState], lack: str) -> UpdateStatus:
    status = service.update_status
    if status is None or status.state not in states:
        now = f"its last update is {status.state.value}" if status else "it is not being updated"
        raise failed_precondition(f"service {service.spec.name} has {lack}: {now}")
    return status


def _version_of(service: Service, spec_version: int) -> PastSpec:
    if spec_version == service.spec_version:
        raise invalid(f"service {service.spec.name} has version {spec_version} already")
    past = versions.past(service)
    for version in past:
        if version.spec_version == spec_version:
            return version
    known = ", ".join(str(version.spec_version) for version in past) or "none"
    raise failed_precondition(
        f"version {spec_version} of service {service.spec.name} is not remembered; "
        f"versions to go back to: {known}"
    )
