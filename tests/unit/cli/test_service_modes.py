"""Jobs, cron and stateful services from the command line."""

from __future__ import annotations

import json

import pytest

from swarmd.model.instant import HOUR, SECOND, Instant
from swarmd.model.spec import Cron, ReplicatedJob, Stateful
from swarmd.model.states import Concurrency, MissedRuns, NodeState, StartOrder, TaskState
from swarmd.model.task import Task
from tests.support.commands import create, failing, spec_of
from tests.support.daemon import Daemon

NEVER = ("--restart-condition", "none")


def finishing(task: Task) -> TaskState | None:
    return TaskState.COMPLETE if task.status.state is TaskState.RUNNING else None


def failing_tasks(task: Task) -> TaskState | None:
    return TaskState.FAILED if task.status.state is TaskState.RUNNING else None


def row(daemon: Daemon, name: str) -> str:
    (line,) = [line for line in daemon.ok("service", "ls").splitlines() if f" {name} " in line]
    return " ".join(line.split()[1:])


def test_creating_a_job_waits_for_its_completion(daemon: Daemon) -> None:
    daemon.swarm.fate = finishing
    out = create(daemon, "job", "--mode", "replicated-job", "--replicas", "4",
                 "--max-concurrent", "2")  # fmt: skip
    assert out.splitlines()[-1].startswith("job: 4/4 completed  ")
    assert spec_of(daemon, "job").mode.replicated_job == ReplicatedJob(2, 4)
    assert row(daemon, "job").startswith("job replicated-job 0/2 (4/4 completed)")


def test_a_job_that_fails_for_good_fails_the_command_with_the_reason(daemon: Daemon) -> None:
    daemon.swarm.fate = failing_tasks
    said = failing(daemon, "service", "create", "--name", "job", "--mode", "replicated-job",
                   "--replicas", "2", *NEVER, "--process", "--", "false")  # fmt: skip
    assert "job: 0 of 2 tasks completed: 2 tasks: boom" in said
    assert "completions have failed for good" in daemon.ok("service", "explain", "job")


def test_a_global_job_runs_once_on_every_node(daemon: Daemon) -> None:
    daemon.swarm.fate = finishing
    out = create(daemon, "job", "--mode", "global-job")
    assert out.splitlines()[-1].startswith("job: 3/3 completed  ")
    assert row(daemon, "job").startswith("job global-job 0/0 (3/3 completed)")


@pytest.mark.parametrize(
    "words", [("run", "job"), ("update", "--force", "job")], ids=["run", "update"]
)
def test_a_job_is_run_again(daemon: Daemon, words: tuple[str, ...]) -> None:
    daemon.swarm.fate = finishing
    create(daemon, "job", "--mode", "replicated-job")
    assert daemon.ok("service", *words).splitlines()[-1].startswith("job: 1/1 completed  ")
    (document,) = json.loads(daemon.ok("service", "inspect", "job"))
    assert document["JobStatus"]["JobIteration"] == {"Index": 1}


def test_scaling_a_job_sets_its_completions(daemon: Daemon) -> None:
    daemon.swarm.fate = finishing
    create(daemon, "job", "--mode", "replicated-job", "--max-concurrent", "3")
    daemon.ok("service", "scale", "job=5")
    assert spec_of(daemon, "job").mode.replicated_job == ReplicatedJob(3, 5)


CRON = ("--mode", "cron", "--schedule", "30 2 * * *")


def test_every_flag_of_a_cron_service_reaches_the_spec(daemon: Daemon) -> None:
    create(daemon, "backup", *CRON, "--time-zone", "Europe/Rome", "--concurrency", "replace",
           "--missed-runs", "all", "--starting-deadline", "1h", "--suspend", "--replicas", "4",
           "--max-concurrent", "2", "--successful-runs", "7", "--failed-runs", "5")  # fmt: skip
    assert spec_of(daemon, "backup").mode.cron == Cron(
        schedule="30 2 * * *",
        time_zone="Europe/Rome",
        concurrency=Concurrency.REPLACE,
        missed_runs=MissedRuns.ALL,
        starting_deadline_ns=HOUR,
        suspended=True,
        job=ReplicatedJob(2, 4),
        successful_runs_kept=7,
        failed_runs_kept=5,
    )
    daemon.ok("service", "update", "--resume", "--schedule", "@daily", "backup")
    cron = spec_of(daemon, "backup").mode.cron
    assert cron is not None
    assert (cron.suspended, cron.schedule, cron.time_zone) == (False, "@daily", "Europe/Rome")


def test_inspecting_a_cron_service_shows_its_next_and_past_runs(daemon: Daemon) -> None:
    daemon.swarm.fate = finishing
    create(daemon, "backup", *CRON, "--time-zone", "Europe/Rome")
    assert daemon.ok("service", "run", "backup").splitlines()[-1].startswith("backup: ")
    (document,) = json.loads(daemon.ok("service", "inspect", "backup"))
    status = document["CronStatus"]
    # The fake swarm lives on 14 November 2023.
    assert status["NextRuns"][:2] == ["2023-11-15 02:30:00+01:00", "2023-11-16 02:30:00+01:00"]
    assert [(run["Iteration"], run["Outcome"]) for run in status["Runs"]] == [(1, "succeeded")]
    pretty = daemon.ok("service", "inspect", "--pretty", "backup")
    assert "30 2 * * * Europe/Rome" in pretty
    assert "1 succeeded (2023-11-14" in pretty


def test_a_cron_service_that_forbids_two_runs_says_so(daemon: Daemon) -> None:
    create(daemon, "backup", *CRON)
    daemon.ok("service", "run", "-d", "backup")
    assert "run 1 of backup is still going" in failing(daemon, "service", "run", "-d", "backup")


def test_only_what_runs_to_completion_is_run(daemon: Daemon) -> None:
    create(daemon, "web", "-d")
    assert "web is replicated; only jobs" in failing(daemon, "service", "run", "web")


STATEFUL = ("--mode", "stateful", "--replicas", "2")


def test_a_stateful_service_is_waited_for_and_shown_by_its_ordinals(daemon: Daemon) -> None:
    out = create(daemon, "db", *STATEFUL, "--start-order", "parallel", "--lease", "20s")
    assert out.splitlines()[-1].startswith("db: 2/2 running  ")
    assert spec_of(daemon, "db").mode.stateful == Stateful(2, StartOrder.PARALLEL, 20 * SECOND)
    listed = daemon.ok("service", "ps", "db")
    assert "db-0" in listed
    assert "db-1" in listed


def test_the_wait_for_a_lease_is_told(daemon: Daemon) -> None:
    create(daemon, "db", *STATEFUL)
    task = daemon.swarm.store.tasks()[0]
    daemon.swarm.set_node(task.node_id, state=NodeState.DOWN)
    daemon.swarm.now = Instant(daemon.swarm.now + 5 * SECOND)
    told = f"waiting for the lease of {task.name} on node {task.node_id} to expire in "
    assert told in " ".join(daemon.ok("service", "ps", "db", "--format", "json").split())
    assert told in daemon.ok("service", "explain", "db")


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--mode", "replicated", "--schedule", "@daily"), "cannot be used with mode replicated"),
        (("--mode", "global-job", "--replicas", "2"), "runs once on every node"),
        (("--mode", "stateful", "--max-concurrent", "2"), "--max-concurrent cannot be used"),
        (("--mode", "cron", "--lease", "9s"), "--lease cannot be used with mode cron"),
    ],
)  # fmt: skip
def test_a_flag_of_another_mode_is_refused_by_name(
    daemon: Daemon, flags: tuple[str, ...], said: str
) -> None:
    words = ("service", "create", "--name", "x", *flags, "--process", "--", "true")
    assert said in failing(daemon, *words, code=2)


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--mode", "cron", "--schedule", "61 * * * *"), "cron: minute '61' is not a number"),
        (("--mode", "cron"), "has 0 fields"),
        (("--mode", "cron", "--schedule", "@daily", "--time-zone", "Moon"), "time zone 'Moon'"),
        (("--mode", "replicated-job", "--update-delay", "1s"), "update config cannot be used"),
        (("--mode", "stateful", "--lease", "1s"), "stateful.lease is 1s, but must be between 5s"),
        (("--mode", "stateful", "--update-order", "start-first"), "use stop-first"),
        (("--restart-max-delay", "1s"), "less than the restart.delay of 5s"),
    ],
)  # fmt: skip
def test_what_a_mode_cannot_do_is_refused_with_the_reason(
    daemon: Daemon, flags: tuple[str, ...], said: str
) -> None:
    words = ("service", "create", "--name", "x", *flags, "--process", "--", "true")
    assert said in failing(daemon, *words)
