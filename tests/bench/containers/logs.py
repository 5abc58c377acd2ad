"""How fast what one container says reaches a client: `python -m tests.bench.containers logs`.

A container prints a file of numbered lines again and again while `swarmd service logs --follow
--raw` reads at the same node; every byte is compared. Beside the rate stands the processor time
that each part of the way took.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from demo.machines import machines
from demo.swarm import Swarm, wait_until
from tests.support import images

MEGABYTES = int(os.environ.get("MEGABYTES", "1000"))
LINE_BYTES = int(os.environ.get("LINE_BYTES", "100"))
FILE_LINES = 1_000_000
READ_BYTES = 1024 * 1024
TICKS = os.sysconf("SC_CLK_TCK")


def main() -> None:
    with a_swarm() as swarm, tempfile.TemporaryDirectory(prefix="swb", dir="/tmp") as directory:
        for prefixed in (False, True):
            show(swarm, Path(directory), prefixed=prefixed)


@contextmanager
def a_swarm() -> Iterator[Swarm]:
    """One node with an image."""
    with machines(("m1",)) as made:
        swarm = Swarm(made)
        first = made.by_name["m1"]
        try:
            swarm.init(first)
            archive = images.docker_archive(
                made.directory / "b.tar", "box:1", [images.busybox_layer()]
            )
            swarm.command(first, "image", "load", str(archive))
            yield swarm
        finally:
            swarm.stop()


def show(swarm: Swarm, directory: Path, *, prefixed: bool) -> None:
    first = swarm.machines.by_name["m1"]
    source = directory / "lines"
    filler = b"x" * (LINE_BYTES - 11)
    source.write_bytes(b"".join(b"%09d %s\n" % (n, filler) for n in range(FILE_LINES)))
    times = max(MEGABYTES * 10**6 // source.stat().st_size, 1)
    go = directory / "go"
    go.mkdir()
    script = (
        "while [ ! -e /go/now ]; do sleep 0.1; done; "
        f"i=0; while [ $i -lt {times} ]; do cat /lines; i=$((i+1)); done; echo over"
    )
    swarm.command(
        first,
        *("service", "create", "--name", "talk", "--restart-condition", "none"),
        *("--log-opt", "max-size=4g", "--stop-grace-period", "1ms"),
        *("--mount", f"type=bind,source={source},target=/lines"),
        *("--mount", f"type=bind,source={go},target=/go"),
        *("box:1", "sh", "-c", script),
    )
    argv = [sys.executable, "-m", "swarmd.cli", "--state-dir", str(first.state_dir)]
    argv += ["service", "logs", "--follow", *(() if prefixed else ("--raw",)), "talk"]
    try:
        with subprocess.Popen(first.command(argv), stdout=subprocess.PIPE) as client:
            time.sleep(2)
            parts = processes(str(first.state_dir), client.pid)
            before = {name: cpu(pid) for name, pid in parts.items()}
            (go / "now").touch()
            begun = time.monotonic()
            seen, digest = drain(client, prefixed=prefixed)
            took = time.monotonic() - begun
            spent = {name: cpu(pid) - before[name] for name, pid in parts.items()}
            client.terminate()
        expected = 0
        for _ in range(times):
            expected = zlib.crc32(source.read_bytes(), expected)
        expected = zlib.crc32(b"over\n", expected)
        missing = times * source.stat().st_size + 5 - seen
        lost = "nothing lost" if digest == expected else f"NOT AS PRINTED, {missing} bytes less"
        print(
            f"logs{' with names' if prefixed else ''}: {seen / 1e6:.0f} MB in lines of "
            f"{LINE_BYTES} bytes, {seen / took / 1e6:.0f} MB/s, {lost}; CPU: "
            + ", ".join(f"{name} {seconds:.1f} s" for name, seconds in spent.items()),
            flush=True,
        )
    finally:
        swarm.command(first, "service", "rm", "talk")
        wait_until(lambda: not swarm.command(first, "service", "ls", "-q"), what="the removal")
        (go / "now").unlink(missing_ok=True)
        go.rmdir()


def drain(client: subprocess.Popen[bytes], *, prefixed: bool) -> tuple[int, int]:
    """What the client prints until the container has said everything: bytes and checksum."""
    seen, digest, tail = 0, 0, b""
    assert client.stdout is not None
    while True:
        data = os.read(client.stdout.fileno(), READ_BYTES)
        assert data, "the client ended early"
        tail += data
        whole, newline, tail = tail.rpartition(b"\n")
        lines = whole + newline
        if prefixed and lines:
            name = lines[: lines.index(b"| ") + 2]
            lines = lines[len(name) :].replace(b"\n" + name, b"\n")
        digest = zlib.crc32(lines, digest)
        seen += len(lines)
        if lines.endswith(b"over\n"):
            return seen, digest


def processes(state_dir: str, client: int) -> dict[str, int]:
    """The processes of a node that lines pass through, by what they are."""
    found = {"client": client}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            words = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue
        text = " ".join(words)
        if state_dir in text:
            for name, sign in (
                ("daemon", "cli --state-dir"), ("keeper", "keeper"), ("shim", "containerd-shim"),
            ):  # fmt: skip
                if sign in text and "service logs" not in text:
                    found[name] = int(entry.name)
    return found


def cpu(pid: int) -> float:
    """Seconds of processor time that a process has used."""
    try:
        words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(words[11]) + int(words[12])) / TICKS
