"""A member on a disk of a few megabytes: new work is refused in time, nothing is lost."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from swarmd.raft.errors import OutcomeUnknown, StorageFull
from tests.support.raft_cluster import FAST, Cluster

CONFIG = msgspec.structs.replace(FAST, segment_bytes=512 << 10, reserve_bytes=256 << 10)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    if os.geteuid() != 0:
        pytest.skip("mounting a small file system needs root")
    mount = tmp_path / "small"
    mount.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(mount)], capture_output=True
    )
    if made.returncode:
        pytest.skip(f"no tmpfs can be mounted here: {made.stderr.decode().strip()}")
    yield mount
    subprocess.run(["umount", "--lazy", str(mount)], check=True)


@pytest.mark.root
async def test_a_full_disk_refuses_work_with_a_sentence_and_keeps_what_it_took(
    small_disk: Path,
) -> None:
    cluster = Cluster(small_disk, CONFIG)
    node = await cluster.found("a")
    acked: list[bytes] = []

    async def fill() -> None:
        for number in range(10_000):
            data = b"%05d" % number + bytes(10_000)
            await node.propose(data)
            acked.append(data)

    with pytest.raises(StorageFull, match="nearly full"):
        await fill()
    assert len(acked) > 100
    assert node.status().low_on_space
    assert node.is_leader, "alone, it has nobody to hand over to"
    assert cluster.fatal == {}
    await cluster.stop("a")
    node = await cluster.start("a")
    await cluster.until(lambda: node.is_leader)
    assert cluster.machines["a"].log == acked
    await cluster.close()


@pytest.mark.root
async def test_a_leader_with_a_full_disk_hands_over_and_follows(
    small_disk: Path, tmp_path: Path
) -> None:
    roomy = tmp_path / "roomy"
    roomy.mkdir()
    cluster = Cluster(small_disk, CONFIG)
    await cluster.found("a")
    cluster.directory = roomy
    await cluster.join("b")
    await cluster.join("c")
    written = 0
    while (await cluster.leader()).member.node_id == "a":
        leader = cluster.nodes["a"]
        try:
            await leader.propose(b"%05d" % written + bytes(20_000))
            written += 1
        except (StorageFull, OutcomeUnknown):
            await cluster.until(lambda: not cluster.nodes["a"].is_leader)
    assert written > 50
    leader = await cluster.leader()
    for _ in range(10):
        await leader.propose(b"with room")
    assert cluster.fatal == {}
    await cluster.close()
