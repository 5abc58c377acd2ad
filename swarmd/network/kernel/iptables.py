"""The legacy tables, for kernels that have them instead of nftables: by their own programs.

Call these functions by `netns.inside`.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterable, Mapping

V4, V6 = "iptables-legacy", "ip6tables-legacy"
PATIENCE_S = 10.0

Hooks = Mapping[str, tuple[str, ...]]  # by table
Rules = Mapping[tuple[str, str], Iterable[str]]  # by table and hook


def put(tool: str, chain: str, hooks: Hooks, rules: Rules) -> str:
    """Have a chain of ours for each hook, led to from there, hold these rules and no others.

    Each table changes as a whole. Answers what `listing` says then.

    Raises:
        OSError: the program is missing, or the kernel refuses.
    """
    before = listing(tool, hooks).splitlines()
    _run([f"{tool}-restore", "--noflush"], batch(chain, hooks, rules, before))
    return listing(tool, hooks)


def batch(chain: str, hooks: Hooks, rules: Rules, present: Iterable[str]) -> str:
    """What brings that about in the language of `iptables-restore`, given what is listed."""
    listed = frozenset(present)
    lines: list[str] = []
    for table, names in hooks.items():
        lines += [f"*{table}", *(f":{chain}-{hook} -" for hook in names)]
        for hook in names:
            lines += [f"-A {chain}-{hook} {rule}" for rule in rules.get((table, hook), ())]
            jump = f"-A {hook} -j {chain}-{hook}"
            if f"{table}: {jump}" not in listed:
                lines.append(jump)
        lines.append("COMMIT")
    return "".join(f"{line}\n" for line in lines)


def listing(tool: str, tables: Iterable[str]) -> str:
    """All rules of these tables, a line for each: the table and the rule. Raises: OSError."""
    known = frozenset(tables)
    found: list[str] = []
    table = ""
    for line in _run([f"{tool}-save"]).splitlines():
        if line.startswith("*"):
            table = line[1:]
        elif line.startswith("-A") and table in known:
            found.append(f"{table}: {line}")
    return "\n".join(found)


def remove(tool: str, chain: str, hooks: Hooks) -> None:
    """Take our chains away, and what leads to them; what is gone is fine. Raises: OSError."""
    for table, names in hooks.items():
        for hook in names:
            _drop_jump(tool, table, hook, f"{chain}-{hook}")


def _drop_jump(tool: str, table: str, source: str, chain: str) -> None:
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
