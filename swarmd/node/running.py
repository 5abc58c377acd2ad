"""A daemon as a process: what is set up before there is a loop, and how a failed start ends."""

from __future__ import annotations

import asyncio
import logging
import resource
import sys

from swarmd.agent.executors.keeper_link import running_keeper
from swarmd.runtime import enclave
from swarmd.runtime import log as logging_setup
from swarmd.runtime.garbage import leave_out_code

from .config import DaemonConfig
from .daemon import Daemon
from .paths import Paths
from .state_dir import StateDirError

log = logging.getLogger(__name__)


def run(config: DaemonConfig) -> None:
    """Run a daemon to its end; a start that fails prints `Error: sentence` and exits with 1."""
    logging_setup.configure(level=config.log_level, as_json=config.log_json)
    _raise_file_limit()
    _enter_enclave(config)
    leave_out_code()
    try:
        asyncio.run(_run(config))
    except StateDirError as error:
        print(f"Error: {error}", file=sys.stderr)
        sys.exit(1)


async def _run(config: DaemonConfig) -> None:
    await Daemon(config).run()


def _enter_enclave(config: DaemonConfig) -> None:
    """Have what an ordinary user can have of networks, before there are threads.

    A keeper that runs has its tasks where the daemon before this one was: that is where to go.
    """
    if not enclave.is_needed():
        return
    keeper = running_keeper(Paths(config.state_dir).worker / "run")
    try:
        if keeper == 0:
            enclave.enter()
        elif not enclave.shares(keeper):
            enclave.join(keeper)
    except OSError as error:
        # The probe of the data plane says what is missing for it, and what tasks go without.
        log.info("enclave.none reason=%s", error)


def _raise_file_limit() -> None:
    """Agents, tasks and proxied connections each take descriptors: have all we may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
