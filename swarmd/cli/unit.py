"""The systemd unit of a node's daemon. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

UNIT = """\
[Unit]
Description=swarmd node
After=network-online.target
Wants=network-online.target

[Service]
ExecStart={command}
Restart=always
RestartSec=1
# Tasks outlive the daemon: the next one finds and adopts them.
KillMode=process
Delegate=yes
LimitNOFILE=1048576
TasksMax=infinity

[Install]
WantedBy=multi-user.target
"""


def systemd_unit(command: Sequence[str]) -> str:
    """A unit that runs `command`; a percent sign would be a specifier and is doubled."""
    return UNIT.format(command=shlex.join(command).replace("%", "%%"))
