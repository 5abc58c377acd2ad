from swarmd.raft.journal import Journal
from swarmd.raft.records import Replay


def replayed(*blocks: bytes) -> Replay:
    replay = Replay()
    for block in blocks:
        replay.block(block)
    return replay


def test_replaying_what_was_written_gives_back_the_journal() -> None:
    journal = Journal()
    journal.add(b"one", 1, 0)
    journal.setCurrentTerm(2, "b.0")
    journal.add(b"two", 2, 2)
    journal.add(b"three", 3, 2)
    journal.deleteEntriesFrom(2)
    journal.add(b"other", 3, 3)
    journal.setRaftCommitIndex(2)
    replay = replayed(journal.take_pending().payload)
    assert replay.entries == journal.entries() == [(b"one", 1, 0), (b"two", 2, 2), (b"other", 3, 3)]
    assert (replay.term, replay.vote, replay.commit) == (2, "b.0", 2)


def test_starting_over_from_a_snapshot_is_a_record_too() -> None:
    journal = Journal([(b"old", 1, 0)])
    journal.clear()
    journal.add(b"x", 99, 4)
    journal.add(b"y", 100, 5)
    pending = journal.take_pending()
    assert pending.was_reset
    assert pending.max_index == 100
    assert replayed(pending.payload).entries == [(b"x", 99, 4), (b"y", 100, 5)]


def test_the_commit_index_never_exceeds_the_log() -> None:
    journal = Journal([(b"one", 1, 0)], commit=50)
    assert journal.getRaftCommitIndex() == 1


def test_the_preamble_does_not_speak_of_entries_that_are_only_in_the_payload() -> None:
    journal = Journal([(b"one", 1, 0)])
    journal.add(b"two", 2, 1)
    journal.setRaftCommitIndex(2)
    pending = journal.take_pending()
    assert replayed(pending.preamble).commit == 1
    assert replayed(pending.preamble, pending.payload).commit == 2


def test_an_unchanged_vote_is_not_written_again() -> None:
    journal = Journal(term=3, vote="a.0")
    journal.setCurrentTerm(3, "a.0")
    assert not journal.dirty
    journal.setCurrentTerm(3, None)
    assert journal.dirty
    assert journal.hard_lsn == journal.lsn == 1


def test_reading_stops_at_the_size_limit_but_gives_at_least_one_entry() -> None:
    journal = Journal([(b"x" * 10, index, 1) for index in range(1, 10)])
    assert [e[1] for e in journal.read(3, max_bytes=25)] == [3, 4, 5]
    assert [e[1] for e in journal.read(9, max_bytes=1)] == [9]
    assert journal.read(0, max_bytes=100) == []


def test_forgetting_the_front_keeps_indexes() -> None:
    journal = Journal([(b"x", index, 1) for index in range(1, 10)])
    journal.deleteEntriesTo(4)
    assert journal.first_index == 5
    assert journal.term_at(4) is None
    assert journal.term_at(5) == 1
    assert not journal.dirty
