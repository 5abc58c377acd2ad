"""Leases in files: what a keeper leaves to its second and to the next keeper."""

from __future__ import annotations

from pathlib import Path

import pytest

from swarmd.agent.executors.keeper.ledger import Entry, Ledger

ONE = Entry(1_000, ("/sys/fs/cgroup/a", "/sys/fs/cgroup/b"))


def a_ledger(directory: Path, boot: str = "first") -> Ledger:
    file = directory / "boot_id"
    file.write_text(boot)
    return Ledger(str(directory), boot_id=str(file))


def test_what_one_notes_another_reads(tmp_path: Path):
    ledger = a_ledger(tmp_path)
    assert (ledger.contact, ledger.entries()) == (0, {})
    child = ONE._replace(is_child=True)
    ledger.put("t1", ONE)
    ledger.put("t2", child)
    ledger.contacted(5)
    ledger.lapsed("t1")
    ledger.lapsed("none")
    other = a_ledger(tmp_path)
    assert other.contact == 5
    assert other.entries() == {"t1": ONE._replace(lapsed=True), "t2": child}
    other.drop("t1")
    other.drop("t1")
    assert ledger.entries() == {"t2": child}


def test_what_an_earlier_run_of_the_machine_left_is_void(tmp_path: Path):
    ledger = a_ledger(tmp_path)
    ledger.put("t1", ONE)
    ledger.contacted(5)
    later = a_ledger(tmp_path, "second")
    assert (later.contact, later.entries()) == (0, {})
    later.put("t2", ONE)
    assert set(a_ledger(tmp_path, "second").entries()) == {"t2"}


def test_an_entry_that_was_not_finished_counts_for_nothing(tmp_path: Path):
    ledger = a_ledger(tmp_path)
    ledger.put("t1", ONE)
    Path(ledger.path, "t2").write_text('[1, ["/sys')
    Path(ledger.path, "t3.new").write_text("[1")
    assert set(ledger.entries()) == {"t1"}


def test_a_ledger_that_can_not_be_written_to_promises_nothing(tmp_path: Path):
    ledger = a_ledger(tmp_path)
    Path(ledger.path, "t1.new").mkdir()
    with pytest.raises(OSError, match="Is a directory"):
        ledger.put("t1", ONE)
    assert ledger.entries() == {}
