"""The books of one service: its slots as last judged, and what has to be looked at again.

A status report of a task that comes up changes nothing here, so that thousands of them cost
nothing; only slots marked as changed are judged again.
"""

from __future__ import annotations

from swarmd.model.ids import ServiceId
from swarmd.model.service import Service
from swarmd.orchestrator.job_slots import Verdict
from swarmd.orchestrator.slots import Slot, SlotKey, SpecJudge
from swarmd.orchestrator.updater import UpdateRun, is_watched


class Ledger:
    """Remembers nothing that a scan of the service's tasks could not bring back."""

    def __init__(self, service_id: ServiceId) -> None:
        self.service_id = service_id
        self.changed: dict[SlotKey, None] = {}  # to be judged again, oldest mark first
        self.step_due = True  # scaling and updating to be looked at
        self.live: dict[SlotKey, None] = {}
        self.dead: dict[SlotKey, None] = {}  # slots with a past and nothing that stands for them
        self.vacated: dict[SlotKey, None] = {}  # dead ones with nothing left to tell their tasks
        self.outdated: dict[SlotKey, None] = {}  # live slots the updater has work in
        self.surplus: list[SlotKey] = []  # live slots about to be given up, least wanted first
        self.verdicts: dict[int, dict[SlotKey, Verdict]] = {}  # of jobs: by run, then by slot
        self.run: UpdateRun | None = None
        self.leaving: dict[SlotKey, None] = {}  # slots with a task on a node that is being drained
        self.updating = False  # or stateful: its order depends on what runs
        self.problem = ""  # why the service has no ports; its tasks wait for them
        self._judge: SpecJudge | None = None

    @property
    def dirty(self) -> bool:
        return bool(self.changed) or self.step_due

    @property
    def watched(self) -> bool:
        """Whether it matters when tasks come to run."""
        return self.updating or bool(self.leaving)

    def judge_for(self, service: Service) -> SpecJudge:
        """The judge of the service's present spec; a new one means that all slots were marked."""
        if self._judge is None or not self._judge.judges(service):
            self._judge = SpecJudge(service)
            self.surplus = []
        self._judge.service = service
        self.updating = is_watched(service) or service.spec.mode.stateful is not None
        return self._judge

    def mark(self, key: SlotKey) -> None:
        self.changed[key] = None

    def open_slot(self, key: SlotKey) -> bool:
        """Enter a slot whose first task was just created as wanted; False if it has a past."""
        known = (self.live, self.dead, self.vacated, self.changed)
        if any(key in keys for keys in known):
            return False
        self.live[key] = None
        return True

    def file(self, slot: Slot) -> None:
        """Enter the judgement of a slot."""
        _note(self.live, slot.key, bool(slot.current))
        _note(self.dead, slot.key, not slot.current and bool(slot.history))
        self.vacated.pop(slot.key, None)
        _note(self.outdated, slot.key, bool(slot.current) and slot.outdated)

    def vacate(self, key: SlotKey) -> None:
        """Leave a dead slot alone until something becomes of its tasks."""
        del self.dead[key]
        self.vacated[key] = None

    def file_at_rest(self, key: SlotKey) -> None:
        """Enter a slot whose one task runs as it should."""
        self.live[key] = None
        for keys in (self.dead, self.vacated, self.outdated, self.leaving):
            if keys:
                keys.pop(key, None)


def _note(keys: dict[SlotKey, None], key: SlotKey, member: bool) -> None:
    if member:
        keys[key] = None
    else:
        keys.pop(key, None)
