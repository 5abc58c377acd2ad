"""`swarmd service`: the list of its commands."""

from __future__ import annotations

import click

from swarmd.cli.lazy import Entry, LazyGroup


@click.group(
    cls=LazyGroup,
    entries={
        "create": Entry("swarmd.cli.service_create:create", "Create a service"),
        "ls": Entry("swarmd.cli.service_read:ls", "List services"),
        "ps": Entry("swarmd.cli.service_read:ps", "List the tasks of services, and their errors"),
        "inspect": Entry("swarmd.cli.service_read:inspect", "Show services in full"),
        "explain": Entry("swarmd.cli.service_explain:explain", "Say why tasks do not run"),
        "logs": Entry("swarmd.cli.service_logs:logs", "Show what the tasks print"),
        "update": Entry("swarmd.cli.service_write:update", "Change a service"),
        "scale": Entry("swarmd.cli.service_write:scale", "Change the number of tasks"),
        "run": Entry("swarmd.cli.service_run:run_now", "Run a job again, or a cron service now"),
        "rollback": Entry("swarmd.cli.service_versions:rollback", "Go back to an earlier spec"),
        "history": Entry("swarmd.cli.service_versions:history", "List the specs to go back to"),
        "diff": Entry("swarmd.cli.service_versions:diff", "Show what differs between specs"),
        "pause": Entry("swarmd.cli.service_steer:pause", "Let an update stand still"),
        "resume": Entry("swarmd.cli.service_steer:resume", "Let a paused update go on"),
        "rm": Entry("swarmd.cli.service_write:rm", "Remove services"),
    },
)
def service() -> None:
    """Services of the swarm."""
