from swarmd.raft.bridge import Bridge
from swarmd.raft.journal import Journal
from swarmd.raft.messages import Alive, Append, AppendReply, FrameReader, Vote, decode_peer


class Wire:
    def __init__(self) -> None:
        self.journal = Journal([(b"", 1, 0)])
        self.sent: list[object] = []
        self.bridge = Bridge("a.0", self.journal, self._send)

    def _send(self, raft_id: str, frame: bytes) -> None:
        self.sent += [decode_peer(body) for body in FrameReader(1 << 20).feed(frame)]

    def synced(self) -> None:
        self.journal.mark_durable(self.journal.take_pending().lsn)
        self.bridge.flush()


PROMISE = AppendReply(1, 3, False, True, 5)


def test_a_promise_waits_for_the_sync() -> None:
    wire = Wire()
    wire.journal.add(b"x", 2, 1)
    wire.bridge.post("b.0", PROMISE)
    wire.bridge.flush()
    assert wire.sent == []
    wire.synced()
    assert wire.sent == [PROMISE]


def test_a_vote_waits_for_the_sync() -> None:
    wire = Wire()
    wire.journal.setCurrentTerm(1, "a.0")
    wire.bridge.post("b.0", Vote(1, 1, 0))
    assert wire.sent == []
    wire.synced()
    assert wire.sent == [Vote(1, 1, 0)]


def test_a_leaders_entries_leave_before_its_own_sync_but_not_before_its_term_is_durable() -> None:
    wire = Wire()
    entries = Append(1, 1, 1, 0, 1, ((1, b"x"),))
    wire.journal.setCurrentTerm(1, "a.0")
    wire.bridge.post("b.0", entries)
    assert wire.sent == []
    wire.synced()
    assert wire.sent == [entries]
    wire.journal.add(b"x", 2, 1)
    more = Append(1, 1, 1, 0, 2, ((1, b"x"),))
    wire.bridge.post("b.0", more)
    assert wire.sent == [entries, more]


def test_messages_to_one_peer_keep_their_order() -> None:
    wire = Wire()
    wire.journal.add(b"x", 2, 1)
    refusal = AppendReply(1, 3, True, False, 6)
    wire.bridge.post("b.0", PROMISE)
    wire.bridge.post("b.0", refusal)
    assert wire.sent == []
    wire.synced()
    assert wire.sent == [PROMISE, refusal]


def test_a_sign_of_life_overtakes() -> None:
    wire = Wire()
    wire.journal.add(b"x", 2, 1)
    wire.bridge.post("b.0", PROMISE)
    wire.bridge.post_now("b.0", Alive(1, 6))
    assert wire.sent == [Alive(1, 6)]


def test_what_waits_for_a_broken_link_is_forgotten() -> None:
    wire = Wire()
    wire.journal.add(b"x", 2, 1)
    wire.bridge.post("b.0", PROMISE)
    wire.bridge.forget("b.0")
    wire.synced()
    assert wire.sent == []
