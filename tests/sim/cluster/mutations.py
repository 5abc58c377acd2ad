"""Every deliberate mistake, each of which some seed must catch."""

from __future__ import annotations

from swarmd.raft.config import RaftConfig
from tests.sim.cluster import consensus_mutations as consensus
from tests.sim.cluster import decision_mutations as decisions
from tests.sim.cluster import node_mutations as nodes
from tests.sim.cluster.mutation import BUSY, Mutation, planned

# Candidates that stand at the same moment.
CLOSE_RACES = RaftConfig(
    election_min_ns=500_000_000,
    election_max_ns=502_000_000,
    segment_bytes=32_768,
    reserve_bytes=4096,
)
CRASHING = planned("blackout", fault_every_s=1.5, managers=5, raft=CLOSE_RACES)
SPLITTING = planned("split", **BUSY)
QUIET = planned("loss", fault_every_s=4.0)
CROWDED = planned("loss", fault_every_s=4.0, keepers=("crowd",))
GUARDED = planned("loss", fault_every_s=4.0, keepers=("warden",))
TIMED = planned("kill", keepers=("timekeeper",))
SURVEYED = planned("loss", fault_every_s=4.0, keepers=("surveyor",))
LEAVING = planned("loss", fault_every_s=4.0, keepers=("registrar",), leavers=2)
FILED = planned("loss", operators=2, theme="files", keepers=("archivist",))

MUTATIONS = (
    Mutation(consensus.vote_forgotten, CRASHING),
    Mutation(consensus.sync_skipped, planned("power", "blackout")),
    Mutation(consensus.wrong_quorum, planned("split", managers=5, **BUSY), seed=3),
    Mutation(consensus.duplicate_apply, planned("kill")),
    Mutation(consensus.stale_read, planned("split", "isolate", "pause")),
    Mutation(consensus.snapshot_incomplete, planned("kill")),
    Mutation(consensus.outcome_denied, planned("deaf", "slow_disk", "split", **BUSY)),
    Mutation(consensus.acknowledged_early, SPLITTING, seed=11),
    Mutation(consensus.base_ignored, planned("loss", writers=3)),
    Mutation(consensus.stale_status_accepted, planned("repeat")),
    Mutation(consensus.desired_state_regresses, planned("slow_link")),
    Mutation(consensus.reason_dropped, QUIET),
    Mutation(decisions.double_assignment, planned("slow_link")),
    Mutation(decisions.leaked_port, planned("loss", operators=2, theme="ports"), seed=4),
    Mutation(decisions.leaked_address, planned("loss", operators=2, turmoil_s=60.0), seed=3),
    Mutation(decisions.lease_ignored, planned("isolate", theme="stateful", **BUSY), seed=7),
    Mutation(decisions.lost_update_progress, planned("kill", "blackout", **BUSY), seed=22),
    Mutation(decisions.restart_without_waiting, planned("executor"), seed=3),
    Mutation(decisions.node_changes_missed, planned("power", "isolate"), seed=3),
    Mutation(decisions.too_few_left, CROWDED),
    Mutation(decisions.equals_preempted, CROWDED),
    Mutation(decisions.nobody_preempted, CROWDED, seed=6),
    Mutation(decisions.drain_ignored, GUARDED),
    Mutation(decisions.taints_ignored, GUARDED, seed=11),
    Mutation(decisions.moves_without_end, planned("kill", "power", rebalances=True), seed=9),
    Mutation(decisions.runs_overlap, planned("loss", theme="cron")),
    Mutation(decisions.runs_repeated, planned("loss", theme="cron")),
    Mutation(nodes.secret_kept, planned("loss", operators=2, theme="files")),
    Mutation(nodes.secret_withheld, planned("loss", operators=2, theme="files")),
    Mutation(
        nodes.secret_removed_in_use, planned("loss", theme="files", keepers=("archivist",)), seed=2
    ),
    Mutation(nodes.heartbeats_ignored, planned("loss"), seed=3),
    Mutation(nodes.session_not_fenced, planned("pause", "isolate")),
    Mutation(nodes.removal_not_propagated, planned("loss"), seed=2),
    Mutation(nodes.reports_lost, planned("isolate", "split", "kill"), seed=2),
    Mutation(nodes.unclaimed_kept, planned("isolate", "power", "kill"), seed=3),
    Mutation(nodes.illness_ignored, planned("loss", theme="health")),
    Mutation(decisions.run_lost, TIMED),
    Mutation(decisions.moments_not_awaited, TIMED),
    Mutation(decisions.virtual_address_kept, SURVEYED),
    Mutation(decisions.subnet_given_twice, SURVEYED),
    Mutation(decisions.network_removed_in_use, SURVEYED),
    Mutation(decisions.rotation_missed, FILED),
    Mutation(nodes.wrong_content, FILED),
    Mutation(nodes.files_kept, FILED),
    Mutation(nodes.leave_unnoticed, LEAVING),
    Mutation(nodes.tasks_left_behind, LEAVING),
)
