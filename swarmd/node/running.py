"""A daemon as a process: what is set up before there is a loop, and how a failed start ends."""

from __future__ import annotations

import asyncio
import resource
import sys

from swarmd.runtime import log as logging_setup
from swarmd.runtime.garbage import leave_out_code

from .config import DaemonConfig
from .daemon import Daemon
from .state_dir import StateDirError


def run(config: DaemonConfig) -> None:
    """Run a daemon to its end; a start that fails prints `Error: sentence` and exits with 1."""
    logging_setup.configure(level=config.log_level, as_json=config.log_json)
    _raise_file_limit()
    leave_out_code()
    try:
        asyncio.run(_run(config))
    except StateDirError as error:
        print(f"Error: {error}", file=sys.stderr)
        sys.exit(1)


async def _run(config: DaemonConfig) -> None:
    await Daemon(config).run()


def _raise_file_limit() -> None:
    """Agents, tasks and proxied connections each take descriptors: have all we may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
