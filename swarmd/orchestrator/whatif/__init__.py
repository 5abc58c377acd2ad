"""What-if questions: the real planner on a copy of the state, with workers that always obey.

`hypothesis` says what happens, `rehearsal` lets the swarm react, `outcome` compares
(docs/design/whatif.md).
"""

from collections.abc import Iterable

from swarmd.model.env import Env
from swarmd.orchestrator.whatif.hypothesis import Hypothesis
from swarmd.orchestrator.whatif.outcome import Before, Outcome, compare
from swarmd.orchestrator.whatif.rehearsal import Rehearsal
from swarmd.store.changes import Object


def rehearse(
    index: int, records: Iterable[Object], hypotheses: Iterable[Hypothesis], env: Env
) -> Outcome:
    """What the swarm whose records these are would become; the records stay as they are.

    It takes as long as the planner would take for all of it, so it is not for the leader's loop.

    Raises:
        Rejection: a hypothesis cannot come true.
    """
    rehearsal = Rehearsal(index, records, now=env.now, ids=env.ids, rng=env.rng)
    before = Before(rehearsal.store)
    rehearsal.suppose(hypotheses)
    settled = rehearsal.run()
    return compare(before, rehearsal.store, settled=settled, duration_ns=rehearsal.elapsed_ns)


__all__ = ["Hypothesis", "Outcome", "rehearse"]
