import errno
import random

import pytest

from swarmd.raft import storage
from swarmd.raft.errors import NotInitialised, WrongKey
from swarmd.raft.keys import KeyRing
from swarmd.raft.members import Member
from swarmd.raft.wal import Wal
from swarmd.sim.disk import Cut, SimDisk
from tests.support.raft_state import CONFIG, MEMBER, filled, write


def test_a_founded_member_is_alone_in_its_configuration() -> None:
    disk = SimDisk()
    assert not storage.is_initialised(disk)
    with pytest.raises(NotInitialised):
        storage.resume(disk, None, CONFIG)
    storage.found(disk, MEMBER, None, CONFIG)
    opened = storage.resume(disk, None, CONFIG)
    assert opened.configurations.latest.members == (MEMBER,)
    assert opened.identity.member == MEMBER


def test_a_prepared_member_belongs_to_nobody_yet() -> None:
    disk = SimDisk()
    storage.prepare(disk, MEMBER, None, CONFIG)
    opened = storage.resume(disk, None, CONFIG)
    assert opened.identity.member == MEMBER
    assert opened.configurations.latest.members == ()
    assert opened.journal.last_index == 1


def test_standing_alone_keeps_the_log_and_removes_the_others() -> None:
    disk = filled(20)
    opened = storage.resume(disk, None, CONFIG)
    alone = Member("a.1", "a", "a:2")
    storage.stand_alone(opened, alone)
    resumed = storage.resume(disk, None, CONFIG)
    assert resumed.identity.member == alone
    assert resumed.configurations.latest.members == (alone,)
    assert resumed.configurations.latest.was_removed("a.0")
    assert resumed.journal.last_index == 21


def test_a_power_cut_at_any_operation_loses_nothing_that_was_synced() -> None:
    """Every operation of a run of writes with file switches is a place to die."""
    for cut in range(200):
        rng = random.Random(cut)
        disk = SimDisk()
        opened = storage.found(disk, MEMBER, None, CONFIG)
        disk.cut_after = cut
        synced = 2
        try:
            for number in range(3, 60):
                opened.journal.add(b"\x20" + bytes(150), number, 1)
                write(opened)
                synced = number
        except Cut:
            pass
        disk.cut_after = None
        disk.lose_power(rng)
        journal = storage.resume(disk, None, CONFIG).journal
        assert journal.last_index in (synced, synced + 1)


def test_each_write_is_synced_before_it_counts() -> None:
    disk = SimDisk()
    opened = storage.found(disk, MEMBER, None, CONFIG)
    for number in range(3, 30):
        before = disk.syncs
        opened.journal.add(b"\x20x", number, 1)
        write(opened)
        assert disk.syncs > before


def test_files_before_the_older_snapshot_are_deleted_and_the_rest_resumes() -> None:
    disk = filled(200, snapshot_at=150)
    opened = storage.resume(disk, None, CONFIG)
    before = opened.wal.segments
    opened.wal.release(149)
    assert opened.wal.segments < before
    resumed = storage.resume(disk, None, CONFIG)
    assert resumed.journal.first_index == 149
    assert resumed.journal.last_index == 200


def add(opened: storage.Storage) -> None:
    opened.journal.add(b"\x20" + bytes(100), opened.journal.last_index + 1, 1)
    write(opened)


def add_for_ever(opened: storage.Storage) -> None:
    while True:
        add(opened)


def test_a_full_disk_is_noticed_while_there_is_still_room() -> None:
    disk = SimDisk()
    opened = storage.found(disk, MEMBER, None, CONFIG)
    disk.capacity = disk.used()
    while not opened.wal.low_on_space:
        add(opened)
    assert opened.wal.room > 1000
    with pytest.raises(OSError, match="full disk") as failure:
        add_for_ever(opened)
    assert failure.value.errno == errno.ENOSPC


def test_space_that_comes_back_is_used_again() -> None:
    disk = SimDisk()
    opened = storage.found(disk, MEMBER, None, CONFIG)
    disk.capacity = disk.used()
    while not opened.wal.low_on_space:
        add(opened)
    disk.capacity = None
    add(opened)
    assert not opened.wal.low_on_space


def test_rotating_the_key_encryption_key_locks_out_the_old_one() -> None:
    disk = filled(20)
    opened = storage.resume(disk, None, CONFIG)
    opened.keys.rotate_kek(b"operator")
    with pytest.raises(WrongKey):
        storage.resume(disk, None, CONFIG)
    assert storage.resume(disk, b"operator", CONFIG).journal.last_index == 20
    opened.keys.rotate_kek(None)
    assert storage.resume(disk, None, CONFIG).journal.last_index == 20


def test_rotating_the_data_key_keeps_old_files_readable_until_they_are_gone() -> None:
    disk = filled(20)
    opened = storage.resume(disk, None, CONFIG)
    opened.keys.rotate_dek()
    opened.wal.rotate_key(opened.journal.hard_state())
    opened.journal.add(b"\x20after", 21, 1)
    write(opened)
    assert storage.resume(disk, None, CONFIG).journal.last_index == 21
    assert opened.wal.key_ids() == {1, 2}
    opened.wal.release(21)
    opened.keys.forget(opened.wal.key_ids())
    assert opened.wal.key_ids() == {2}
    assert KeyRing.open(disk, None).current_id == 2


def test_nothing_readable_is_on_disk() -> None:
    disk = filled(20, snapshot_at=10)
    for name, file in disk.files.items():
        assert b"entry" not in file.data, name
        assert b"state 1" not in file.data, name


def test_secrets_do_not_show() -> None:
    disk = SimDisk()
    opened = storage.found(disk, MEMBER, b"kek", CONFIG)
    assert "hidden" in repr(opened.keys)
    assert isinstance(opened.wal, Wal)
