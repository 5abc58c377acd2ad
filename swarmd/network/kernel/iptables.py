"""The legacy tables, for kernels that have them instead of nftables: by their own programs.

Call these functions by `netns.inside`.
"""

from __future__ import annotations

import shutil
import subprocess

V4, V6 = "iptables-legacy", "ip6tables-legacy"
PATIENCE_S = 10.0


def restore(tool: str, lines: str) -> None:
    """Apply a batch in the language of `iptables-restore`; chains it doesn't name stay.

    Raises:
        OSError: the program is missing, or the kernel refuses.
    """
    _run([f"{tool}-restore", "--noflush"], lines)


def listing(tool: str, table: str) -> str:
    """A table as `iptables-save` has it, but for comments and counters. Raises: OSError."""
    lines = _run([f"{tool}-save", "-t", table]).splitlines()
    return "\n".join(line.partition(" [")[0] for line in lines if not line.startswith("#"))


def jump(tool: str, table: str, source: str, chain: str) -> None:
    """Have `source` lead to `chain`, if it doesn't yet. Raises: OSError."""
    words = [source, "-j", chain]
    if _start([tool, "-t", table, "-C", *words], "").returncode:
        _run([tool, "-t", table, "-A", *words])


def drop_jump(tool: str, table: str, source: str, chain: str) -> None:
    """The opposite of `jump`, and of the chain itself; what is gone is fine. Raises: OSError."""
    while not _start([tool, "-t", table, "-D", source, "-j", chain], "").returncode:
        continue
    for verb in ("-F", "-X"):
        _start([tool, "-t", table, verb, chain], "")


def _run(command: list[str], given: str = "") -> str:
    done = _start(command, given)
    if done.returncode:
        said = done.stderr.decode(errors="replace").splitlines()
        raise OSError(f"{command[0]} refuses: {said[0] if said else done.returncode}")
    return done.stdout.decode(errors="replace")


def _start(command: list[str], given: str) -> subprocess.CompletedProcess[bytes]:
    path = shutil.which(command[0], path="/usr/sbin:/sbin:/usr/bin:/bin")
    if path is None:
        raise OSError(f"{command[0]} is not installed (Debian: apt-get install iptables)")
    return subprocess.run(
        [path, *command[1:]],
        input=given.encode(),
        capture_output=True,
        check=False,
        timeout=PATIENCE_S,
    )
