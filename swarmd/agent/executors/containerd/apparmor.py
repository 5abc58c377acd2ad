"""The AppArmor profile of containers: loaded into the kernel when the first one needs it.

Where the kernel has no AppArmor, or the machine no `apparmor_parser`, containers run without, as
system calls, capabilities and hidden paths keep them in already.
"""

from __future__ import annotations

import logging
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from swarmd.agent.executors.containerd.installation import PATH

log = logging.getLogger(__name__)

PROFILE = "swarmd-default"
PARSER_S_MAX = 20.0
# What the hidden paths of a container hide as well, said again where mounts can't undo it; signals
# and traces pass between processes of the same profile only, and come from outside of any.
_RULES = f"""\
#include <tunables/global>

profile {PROFILE} flags=(attach_disconnected,mediate_deleted) {{
  #include <abstractions/base>
  network,
  capability,
  file,
  umount,
  signal (receive) peer=unconfined,
  signal (send,receive) peer={PROFILE},
  ptrace (trace,read,tracedby,readby) peer={PROFILE},
  deny mount,
  deny @{{PROC}}/sysrq-trigger rwklx,
  deny @{{PROC}}/kcore rwklx,
  deny @{{PROC}}/sys/kernel/{{core_pattern,modprobe,hotplug,uevent_helper}} wklx,
  deny @{{PROC}}/sys/vm/panic_on_oom wklx,
  deny /sys/kernel/security/** rwklx,
  deny /sys/firmware/** rwklx,
  deny /sys/devices/virtual/powercap/** rwklx,
}}
"""


class AppArmor:
    """The AppArmor of one machine; blocks."""

    def __init__(
        self,
        *,
        sys: Path = Path("/sys"),
        which: Callable[[str], str | None] = lambda name: shutil.which(name, path=PATH),
    ) -> None:
        self._sys = sys
        self._which = which
        self._default: str | None = None

    def default(self) -> str:
        """The name of the profile for containers, loaded; empty where there is none to be had."""
        if self._default is None:
            self._default = PROFILE if self._enabled() and self._load() else ""
        return self._default

    def lacking(self, profile: str) -> str:
        """Why a container can't have the profile of this name, as a sentence; empty if it can."""
        if not self._enabled():
            return (
                f"AppArmor profile {profile!r} can't be given: this node's kernel has no AppArmor"
            )
        try:
            text = (self._sys / "kernel/security/apparmor/profiles").read_text()
        except OSError:
            return ""  # securityfs is not mounted; the runtime will find out
        if profile in (line.rpartition(" (")[0] for line in text.splitlines()):
            return ""
        return f"AppArmor profile {profile!r} is not loaded on this node"

    def _enabled(self) -> bool:
        try:
            text = (self._sys / "module/apparmor/parameters/enabled").read_text()
        except OSError:
            return False
        return text.startswith("Y")

    def _load(self) -> bool:
        parser = self._which("apparmor_parser")
        if parser is None:
            log.warning("apparmor.unused reason=no apparmor_parser; apt-get install apparmor")
            return False
        try:
            subprocess.run(
                [parser, "-Kr"],
                input=_RULES.encode(),
                check=True,
                capture_output=True,
                timeout=PARSER_S_MAX,
            )
        except subprocess.CalledProcessError as error:
            said = error.stderr.decode(errors="replace").strip()
            log.warning("apparmor.unused reason=%s", said or error)
            return False
        except (OSError, subprocess.TimeoutExpired) as error:
            log.warning("apparmor.unused reason=%s", error)
            return False
        return True
