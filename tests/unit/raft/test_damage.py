"""Whatever happens to the files: what was written comes back whole, or the member refuses."""

import random

import pytest

from swarmd.raft import storage
from swarmd.raft.errors import Damaged, StateError, WrongKey
from swarmd.raft.records import Entry
from swarmd.raft.snapshot import PREFIX
from swarmd.sim.disk import SimDisk
from tests.support.raft_state import CONFIG, Collected, copied, filled

KEPT = ("log-0", "snapshot-", "keys", "kek", "identity")


def entries_of(disk: SimDisk) -> list[Entry]:
    return storage.resume(disk, None, CONFIG).journal.entries()


def last_log(disk: SimDisk) -> str:
    return max(name for name in disk.names() if name.startswith("log-0"))


@pytest.fixture(scope="module")
def whole() -> SimDisk:
    return filled(snapshot_at=30)


def test_the_undamaged_state_resumes_after_its_snapshot(whole: SimDisk) -> None:
    opened = storage.resume(copied(whole), None, CONFIG)
    assert opened.journal.first_index == 29
    assert opened.journal.last_index == 60
    assert opened.wal.segments > 1


@pytest.mark.parametrize("name", [n for n in filled(snapshot_at=30).names() if n.startswith(KEPT)])
def test_a_flipped_bit_is_found_or_harmless(whole: SimDisk, name: str) -> None:
    """Every file that matters, at a sample of positions, each bit."""
    expected = entries_of(copied(whole))
    size = len(whole.files[name].data)
    rng = random.Random(name)
    positions = {*range(min(size, 80)), *(rng.randrange(size) for _ in range(60))}
    for position in sorted(positions):
        disk = copied(whole)
        disk.files[name].data[position] ^= 1 << rng.randrange(8)
        try:
            opened = storage.resume(disk, None, CONFIG)
        except StateError:
            continue
        assert name != "identity", f"a change at {position} went unnoticed"
        assert opened.journal.entries()[-1] == expected[-1], f"{name} at {position}"
        restored = opened.journal.entries()
        assert restored == expected or name.startswith(PREFIX), f"{name} at {position}"


def test_a_write_cut_off_at_any_byte_loses_only_that_write(whole: SimDisk) -> None:
    disk = filled(10, note=False)
    name, end = last_log(disk), 0
    data = disk.files[name].data
    end = len(data.rstrip(b"\0"))
    before = entries_of(copied(disk))
    for cut in range(end - 75, end):
        torn = copied(disk)
        torn.files[name].data[cut:end] = bytes(end - cut)
        after = entries_of(torn)
        assert after in (before, before[:-1])
        assert entries_of(torn) == after, "resuming again changes nothing"


def test_a_missing_last_write_that_was_known_to_be_durable_is_refused() -> None:
    disk = filled(10, note=True)
    name = last_log(disk)
    data = disk.files[name].data
    end = len(data.rstrip(b"\0"))
    data[end - 40 : end] = bytes(40)
    with pytest.raises(Damaged, match="known to be intact"):
        entries_of(disk)


def test_damage_in_front_of_intact_data_is_never_taken_for_a_torn_write() -> None:
    disk = filled(10, note=False)
    disk.files[last_log(disk)].data[300] ^= 4
    with pytest.raises(Damaged, match="intact data follows"):
        entries_of(disk)


def test_swapped_blocks_are_refused() -> None:
    disk = filled(10, note=False)
    data = disk.files[last_log(disk)].data
    marker = bytes(data[64:68])
    starts = [i for i in range(64, len(data) - 4) if data[i : i + 4] == marker]
    one, two, end = starts[3], starts[4], starts[5]
    data[one:end] = data[two:end] + data[one:two]
    with pytest.raises(Damaged, match="not written there"):
        entries_of(disk)


def test_swapped_files_are_refused(whole: SimDisk) -> None:
    disk = copied(whole)
    names = [n for n in disk.names() if n.startswith("log-0")]
    one, two = names[0], names[1]
    disk.files[one], disk.files[two] = disk.files[two], disk.files[one]
    with pytest.raises(Damaged, match="carries the header"):
        entries_of(disk)


@pytest.mark.parametrize("which", [0, 1, -1])
def test_a_missing_journal_file_is_refused(whole: SimDisk, which: int) -> None:
    disk = copied(whole)
    for name in [n for n in disk.names() if n.startswith(PREFIX)]:
        disk.remove(name)
    names = [n for n in disk.names() if n.startswith("log-0")]
    disk.remove(names[which])
    with pytest.raises(Damaged):
        entries_of(disk)


def test_a_missing_key_file_is_refused(whole: SimDisk) -> None:
    disk = copied(whole)
    disk.remove("keys")
    with pytest.raises(Damaged, match="data keys is missing"):
        entries_of(disk)


def test_the_wrong_key_is_told_from_damage(whole: SimDisk) -> None:
    with pytest.raises(WrongKey):
        storage.resume(copied(whole), b"not the key", CONFIG)
    disk = copied(whole)
    disk.remove("kek")
    with pytest.raises(WrongKey, match="locked"):
        entries_of(disk)


def test_a_damaged_newest_snapshot_falls_back_to_the_one_before() -> None:
    disk = filled(60, snapshot_at=20)
    opened = storage.resume(disk, None, CONFIG)
    older = opened.snapshots[0]
    from swarmd.raft.snapshot import SnapshotHeader, write_snapshot

    log = opened.journal.entries()
    offset = 40 - log[0][1]
    header = SnapshotHeader(log[offset - 1], log[offset], opened.configurations.at(40))
    newer = write_snapshot(disk, opened.keys, header, [b"newer"])
    disk.files[newer.name].data[-5] ^= 1
    resumed = storage.resume(disk, None, CONFIG)
    assert resumed.snapshots[-1].name == older.name
    assert resumed.journal.first_index == 19
    assert resumed.journal.last_index == 60


def test_a_snapshot_that_became_durable_before_its_journal_replaces_what_it_contains() -> None:
    disk = filled(20)
    opened = storage.resume(disk, None, CONFIG)
    from swarmd.raft.snapshot import SnapshotHeader, write_snapshot

    previous, last = (b"\x20x", 99, 3), (b"\x20y", 100, 3)
    header = SnapshotHeader(previous, last, opened.configurations.latest)
    write_snapshot(disk, opened.keys, header, [b"state"])
    resumed = storage.resume(disk, None, CONFIG)
    assert resumed.journal.entries() == [previous, last]
    assert resumed.journal.dirty, "the new beginning still has to be written"
    machine = Collected()
    from swarmd.raft.snapshot import restore_from

    restore_from(disk, resumed.keys, resumed.snapshots[-1].name, machine.restore)
    assert machine.items == [b"state"]
