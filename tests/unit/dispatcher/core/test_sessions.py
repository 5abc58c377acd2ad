"""Liveness: who is up, who is unknown, who is down, and when."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swarmd.dispatcher.core import timing
from swarmd.dispatcher.core.sessions import Lapse, Lapsed, Sessions
from swarmd.model.errors import Code, Rejection
from swarmd.model.ids import NodeId, SessionId
from swarmd.model.instant import HOUR, MILLISECOND, SECOND, Instant

N1, N2, N3 = NodeId("n1"), NodeId("n2"), NodeId("n3")
S1, S2 = SessionId("s1"), SessionId("s2")
PERIOD_NS = 1500 * MILLISECOND
START = Instant(100 * SECOND)


def later(seconds: float) -> Instant:
    return Instant(START + int(seconds * SECOND))


def a_table() -> Sessions:
    sessions = Sessions(PERIOD_NS)
    sessions.register(N1, S1, START)
    return sessions


def test_a_silent_node_is_down_after_three_periods_and_not_before() -> None:
    sessions = a_table()
    assert sessions.lapse(Instant(later(4.5) - 1)) == ()
    assert sessions.lapse(later(4.5)) == (Lapsed(N1, Lapse.DOWN, S1),)
    assert sessions.lapse(later(4.5)) == ()


def test_a_heartbeat_moves_the_deadline() -> None:
    sessions = a_table()
    assert sessions.beat(N1, S1, later(4)) == PERIOD_NS
    assert sessions.lapse(later(4.5)) == ()
    assert sessions.next_deadline() == later(8.5)
    assert sessions.lapse(later(8.5)) == (Lapsed(N1, Lapse.DOWN, S1),)


def test_a_shorter_period_is_noticed_with_the_next_heartbeat() -> None:
    sessions = a_table()
    sessions.set_period(96 * MILLISECOND)
    assert sessions.beat(N1, S1, later(1)) <= 96 * MILLISECOND
    assert sessions.lapse(later(1.288)) == (Lapsed(N1, Lapse.DOWN, S1),)


def test_a_node_that_was_never_registered_is_told_so() -> None:
    with pytest.raises(Rejection) as refusal:
        Sessions(PERIOD_NS).beat(N1, S1, START)
    assert refusal.value == Rejection(Code.NOT_FOUND, "node not registered")


@pytest.mark.parametrize("session_id", ["", "s2"])
def test_a_wrong_session_is_refused(session_id: str) -> None:
    with pytest.raises(Rejection) as refusal:
        a_table().check(N1, session_id)
    assert refusal.value == Rejection(Code.INVALID_ARGUMENT, "session invalid")


def test_a_down_node_has_no_session_any_more() -> None:
    sessions = a_table()
    sessions.lapse(later(5))
    assert not sessions.holds(N1, S1)
    with pytest.raises(Rejection, match="node not registered"):
        sessions.beat(N1, S1, later(5))


def test_registering_again_ends_the_session_before() -> None:
    sessions = a_table()
    assert sessions.register(N1, S2, later(1)) == S1
    assert not sessions.holds(N1, S1)
    assert sessions.holds(N1, S2)
    assert len(sessions) == 1


def test_an_empty_session_id_resumes_nothing() -> None:
    assert not a_table().holds(N1, "")


def test_a_node_that_registers_again_and_again_has_to_wait() -> None:
    sessions = a_table()
    sessions.register(N1, S1, later(1))
    sessions.register(N1, S1, later(2))
    with pytest.raises(Rejection) as refusal:
        sessions.register(N1, S1, later(3))
    assert refusal.value.code is Code.UNAVAILABLE
    assert sessions.register(N1, S2, later(8)) == S1


def test_after_an_election_silence_means_unknown_and_then_down() -> None:
    sessions = Sessions(PERIOD_NS)
    sessions.expect(N1, START)
    sessions.expect(N2, START)
    sessions.register(N2, S2, later(0.5))
    assert sessions.lapse(Instant(later(1) - 1)) == ()
    assert sessions.lapse(later(1)) == (Lapsed(N1, Lapse.UNKNOWN, None),)
    sessions.beat(N2, S2, later(4))
    assert sessions.lapse(Instant(later(5) - 1)) == ()
    assert sessions.lapse(later(5)) == (Lapsed(N1, Lapse.DOWN, None),)


def test_a_leader_that_misses_most_nodes_doubts_itself_before_it_gives_them_up() -> None:
    sessions = Sessions(PERIOD_NS)
    for node_id in (N1, N2, N3):
        sessions.expect(node_id, START)
    sessions.register(N3, S1, later(0.5))
    assert len(sessions.lapse(later(1))) == 2
    sessions.beat(N3, S1, later(4))
    assert sessions.lapse(later(5)) == ()
    sessions.register(N2, S2, later(6))
    sessions.beat(N3, S1, later(7))
    sessions.beat(N2, S2, later(9))
    sessions.beat(N3, S1, later(9))
    assert sessions.lapse(later(10)) == (Lapsed(N1, Lapse.DOWN, None),)


def test_nodes_that_stay_away_are_given_up_in_the_end() -> None:
    sessions = Sessions(PERIOD_NS)
    for node_id in (N1, N2, N3):
        sessions.expect(node_id, START)
    lost = [lapsed.node_id for at in range(1, 30) for lapsed in sessions.lapse(later(at))]
    assert sorted(lost[3:]) == [N1, N2, N3]
    assert sessions.lapse(later(40)) == ()


def test_the_grace_after_an_election_grows_with_the_period() -> None:
    assert timing.recovery_grace_ns(PERIOD_NS) == 5 * SECOND
    assert timing.recovery_grace_ns(4 * SECOND) == 12 * SECOND


def test_a_node_that_comes_back_in_time_is_never_unknown() -> None:
    sessions = Sessions(PERIOD_NS)
    sessions.expect(N1, START)
    sessions.register(N1, S1, later(0.5))
    assert sessions.lapse(later(4.9)) == ()


def test_after_a_day_a_down_node_has_lost_its_tasks_once() -> None:
    sessions = Sessions(PERIOD_NS)
    sessions.expect_down(N1, START)
    assert sessions.lapse(Instant(START + 24 * HOUR - 1)) == ()
    assert sessions.lapse(Instant(START + 24 * HOUR)) == (Lapsed(N1, Lapse.ORPHANED, None),)
    assert sessions.next_deadline() is None


def test_a_down_node_that_registers_keeps_its_tasks() -> None:
    sessions = Sessions(PERIOD_NS)
    sessions.expect_down(N1, START)
    sessions.register(N1, S1, later(3600))
    lapsed = sessions.lapse(Instant(START + 25 * HOUR))
    assert [lapse for _, lapse, _ in lapsed] == [Lapse.DOWN]


def test_a_node_that_left_can_not_slip_back_in_at_once() -> None:
    sessions = a_table()
    assert sessions.leave(N1, later(1)) == S1
    with pytest.raises(Rejection, match="just left"):
        sessions.register(N1, S2, later(2))
    sessions.register(N1, S2, later(11))
    assert sessions.holds(N1, S2)


def test_a_removed_node_is_forgotten() -> None:
    sessions = a_table()
    assert sessions.forget(N1) == S1
    assert sessions.lapse(later(100)) == ()
    assert sessions.forget(N1) is None


def test_a_leader_that_stood_still_does_not_take_its_own_silence_for_that_of_nodes() -> None:
    sessions = a_table()
    sessions.expect_down(N2, START)
    sessions.forgive(10 * SECOND, later(0))
    assert sessions.lapse(later(14)) == ()
    assert sessions.lapse(later(14.5)) == (Lapsed(N1, Lapse.DOWN, S1),)
    assert sessions.lapse(Instant(START + 24 * HOUR))[0] == Lapsed(N2, Lapse.ORPHANED, None)


def test_one_silent_node_does_not_hide_another() -> None:
    sessions = a_table()
    sessions.register(N2, S2, later(1))
    assert sessions.lapse(later(6)) == (
        Lapsed(N1, Lapse.DOWN, S1),
        Lapsed(N2, Lapse.DOWN, S2),
    )


def test_the_period_grows_beyond_a_thousand_nodes() -> None:
    assert timing.scaled_period_ns(PERIOD_NS, 3) == PERIOD_NS
    assert timing.scaled_period_ns(PERIOD_NS, 1000) == PERIOD_NS
    assert timing.scaled_period_ns(PERIOD_NS, 4000) == 4 * PERIOD_NS


class Machines:
    """When the machine of each node was last heard of, as a kernel would tell."""

    def __init__(self) -> None:
        self.signs: dict[NodeId, Instant] = {}
        self.asked = 0

    def heard(self, node_id: NodeId) -> Instant | None:
        self.asked += 1
        return self.signs.get(node_id)


def a_watched_table() -> tuple[Sessions, Machines]:
    machines = Machines()
    sessions = Sessions(PERIOD_NS, heard=machines.heard)
    sessions.register(N1, S1, START)
    sessions.watch(N1, S1)
    return sessions, machines


def test_a_watched_node_is_asked_for_half_as_many_heartbeats() -> None:
    sessions, _ = a_watched_table()
    assert sessions.beat(N1, S1, START) == 2 * PERIOD_NS


def test_a_short_period_is_kept_even_where_the_kernel_watches() -> None:
    sessions, _ = a_watched_table()
    sessions.set_period(960 * MILLISECOND)
    assert sessions.beat(N1, S1, START) == 960 * MILLISECOND


def test_a_machine_that_falls_silent_is_down_three_periods_after_its_last_sign() -> None:
    sessions, machines = a_watched_table()
    sessions.beat(N1, S1, START)
    machines.signs[N1] = later(1.2)
    assert sessions.lapse(Instant(later(5.7) - 1)) == ()
    assert sessions.lapse(later(5.7)) == (Lapsed(N1, Lapse.DOWN, S1),)


def test_a_machine_that_lives_on_does_not_keep_a_frozen_agent_in_session() -> None:
    sessions, machines = a_watched_table()
    sessions.beat(N1, S1, START)
    for second in (4.5, 5, 5.5, 5.9):
        machines.signs[N1] = later(second)
        assert sessions.lapse(later(second)) == ()
    machines.signs[N1] = later(6)
    assert sessions.lapse(later(6)) == (Lapsed(N1, Lapse.DOWN, S1),)


def test_the_kernel_is_not_asked_for_nodes_whose_heartbeats_come() -> None:
    sessions, machines = a_watched_table()
    machines.signs[N1] = later(0)
    for quarters in range(400):
        now = later(quarters / 4)
        if quarters % 12 == 0:
            sessions.beat(N1, S1, now)
        assert sessions.lapse(now) == ()
    assert machines.asked == 0
    assert sessions.lapse(later(99 + 4.5)) == (Lapsed(N1, Lapse.DOWN, S1),)


def test_where_the_kernel_can_not_tell_heartbeats_decide() -> None:
    sessions, _ = a_watched_table()
    sessions.beat(N1, S1, START)
    assert sessions.lapse(Instant(later(6) - 1)) == ()
    assert sessions.lapse(later(6)) == (Lapsed(N1, Lapse.DOWN, S1),)


def test_a_node_whose_connection_ended_is_down_unless_it_comes_back_in_time() -> None:
    sessions, _ = a_watched_table()
    sessions.beat(N1, S1, later(1))
    sessions.hang_up(N1, S1, later(1.5))
    assert sessions.lapse(Instant(later(6) - 1)) == ()
    assert sessions.lapse(later(6)) == (Lapsed(N1, Lapse.DOWN, S1),)


def test_a_daemon_that_is_restarted_in_time_keeps_its_tasks() -> None:
    sessions, _ = a_watched_table()
    sessions.hang_up(N1, S1, later(1))
    sessions.register(N1, S2, later(5.4))
    assert sessions.lapse(later(9.8)) == ()
    assert sessions.holds(N1, S2)


def test_a_connection_that_ended_is_made_up_for_by_a_heartbeat_on_another() -> None:
    sessions, _ = a_watched_table()
    sessions.hang_up(N1, S1, later(1))
    assert sessions.beat(N1, S1, later(5)) <= PERIOD_NS
    assert sessions.lapse(later(7.9)) == ()


def test_heartbeats_on_another_connection_count_for_one_that_fell_silent() -> None:
    sessions, machines = a_watched_table()
    machines.signs[N1] = START
    sessions.beat(N1, S1, later(4))
    assert sessions.lapse(later(8.4)) == ()
    assert sessions.lapse(later(8.5)) == (Lapsed(N1, Lapse.DOWN, S1),)


def test_a_kernel_that_gave_up_after_a_long_silence_does_not_prolong_it() -> None:
    sessions, _ = a_watched_table()
    sessions.beat(N1, S1, later(4))
    sessions.hang_up(N1, S1, later(-2))
    assert sessions.lapse(Instant(later(8.5) - 1)) == ()
    assert sessions.lapse(later(8.5)) == (Lapsed(N1, Lapse.DOWN, S1),)


def test_the_end_of_a_former_connection_says_nothing_of_the_new_session() -> None:
    sessions, _ = a_watched_table()
    sessions.register(N1, S2, later(1))
    sessions.watch(N1, S2)
    sessions.beat(N1, S2, later(1))
    sessions.hang_up(N1, S1, later(1))
    assert sessions.lapse(later(5.6)) == ()


def test_silence_from_before_the_leader_stood_still_is_not_held_against_a_machine() -> None:
    sessions, machines = a_watched_table()
    machines.signs[N1] = START
    sessions.forgive(10 * SECOND, later(10))
    assert sessions.lapse(later(14.4)) == ()
    assert sessions.lapse(later(14.5)) == (Lapsed(N1, Lapse.DOWN, S1),)


def test_a_silence_told_late_still_counts_from_its_beginning() -> None:
    sessions, machines = a_watched_table()
    machines.signs[N1] = later(4.4)
    sessions.beat(N1, S1, later(1))
    assert sessions.lapse(later(4.5)) == ()  # looks again when this sign would be too old
    machines.signs[N1] = later(2)
    sessions.look(N1)
    assert sessions.lapse(Instant(later(6.5) - 1)) == ()
    assert sessions.lapse(later(6.5)) == (Lapsed(N1, Lapse.DOWN, S1),)


def test_a_silence_that_ends_in_time_has_no_consequence() -> None:
    sessions, machines = a_watched_table()
    sessions.beat(N1, S1, later(1))
    machines.signs[N1] = later(0)
    sessions.look(N1)
    machines.signs[N1] = later(5)
    assert sessions.lapse(later(5.6)) == ()
    assert sessions.holds(N1, S1)


def test_a_look_at_a_node_that_is_unknown_or_unwatched_does_nothing() -> None:
    sessions = Sessions(PERIOD_NS)
    sessions.look(N1)
    sessions.register(N1, S1, START)
    before = sessions.next_deadline()
    sessions.look(N1)
    assert sessions.next_deadline() == before


NODES = tuple(NodeId(f"n{number:03}") for number in range(40))
MORE_S = timing.LATE_PERIODS_MAX * 1.5  # what a node that is doubted to be dead is given


def many(heard: dict[NodeId, Instant] | None = None) -> Sessions:
    """Forty nodes that register at once; watched where their machines are heard."""
    sessions = Sessions(PERIOD_NS, heard=(heard or {}).get)
    for node_id in NODES:
        sessions.register(node_id, S1, START)
        if heard is not None:
            sessions.watch(node_id, S1)
    return sessions


def downs(sessions: Sessions, at: Instant) -> int:
    return sum(item.lapse is Lapse.DOWN for item in sessions.lapse(at))


@pytest.mark.parametrize("watched", [True, False])
def test_of_many_that_are_late_at_a_time_none_is_taken_for_dead_at_once(watched: bool) -> None:
    heard = dict.fromkeys(NODES, later(100)) if watched else None
    sessions = many(heard)
    assert downs(sessions, later(4.5)) == 0
    for node_id in NODES[:30]:
        sessions.beat(node_id, S1, later(5))  # late, but there
    assert downs(sessions, later(4.5 + MORE_S)) == 0
    for node_id in NODES[:30]:
        sessions.beat(node_id, S1, later(8))
    assert downs(sessions, later(4.5 + 2 * MORE_S)) == 10, "ten were given more time twice"
    assert len(sessions) == 30


@pytest.mark.parametrize(("watched", "dead"), [(True, 0), (False, 12)])
def test_fewer_late_ones_are_many_where_their_machines_are_known_to_be_there(
    watched: bool, dead: int
) -> None:
    nodes = [NodeId(f"n{number:03}") for number in range(200)]
    sessions = Sessions(PERIOD_NS, heard=dict.fromkeys(nodes, later(100)).get)
    for node_id in nodes:
        sessions.register(node_id, S1, START)
        if watched:
            sessions.watch(node_id, S1)
    for node_id in nodes[12:]:
        sessions.beat(node_id, S1, later(1))
    assert downs(sessions, later(4.5)) == dead


def test_machines_that_are_silent_are_not_given_more_time() -> None:
    sessions = many(dict.fromkeys(NODES, START))
    assert downs(sessions, later(4.5)) == len(NODES)


def test_nodes_whose_connections_ended_are_not_given_more_time() -> None:
    sessions = many()
    for node_id in NODES:
        sessions.hang_up(node_id, S1, START)
    assert downs(sessions, later(4.5)) == len(NODES)


def test_nodes_that_are_late_one_after_the_other_are_taken_for_dead() -> None:
    sessions = Sessions(PERIOD_NS)
    for number, node_id in enumerate(NODES):
        sessions.register(node_id, S1, later(number))
    found = [downs(sessions, later(4.5 + number)) for number in range(len(NODES))]
    assert found == [1] * len(NODES)


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["register", "beat", "leave", "forget", "expect", "expect_down", "wait"]),
        st.sampled_from([N1, N2]),
        st.integers(0, 3 * SECOND),
    ),
    max_size=60,
)


@given(steps=STEPS)
@settings(deadline=None, max_examples=200)
def test_a_session_lives_exactly_as_long_as_its_heartbeats(
    steps: list[tuple[str, NodeId, int]],
) -> None:
    """Against a model without a heap: the deadline of each session, by hand."""
    sessions, now = Sessions(PERIOD_NS), int(START)
    alive: dict[NodeId, tuple[SessionId, int]] = {}
    for number, (kind, node, pause_ns) in enumerate(steps):
        now += pause_ns
        at = Instant(now)
        ended = {item.node_id for item in sessions.lapse(at) if item.session_id is not None}
        assert ended == {name for name, (_, until) in alive.items() if until <= now}
        alive = {name: entry for name, entry in alive.items() if name not in ended}
        if kind == "register":
            session_id = SessionId(str(number))
            try:
                sessions.register(node, session_id, at)
            except Rejection:
                continue
            alive[node] = (session_id, now + 3 * PERIOD_NS)
        elif kind == "beat" and node in alive:
            session_id, _ = alive[node]
            rest_ns = sessions.beat(node, session_id, at)
            assert 0 < rest_ns <= PERIOD_NS
            alive[node] = (session_id, now + rest_ns + 2 * PERIOD_NS)
        elif kind == "leave":
            sessions.leave(node, at)
            alive.pop(node, None)
        elif kind == "forget":
            sessions.forget(node)
            alive.pop(node, None)
        elif kind.startswith("expect") and node not in alive:
            (sessions.expect if kind == "expect" else sessions.expect_down)(node, at)
        assert len(sessions) == len(alive)
        deadline = sessions.next_deadline()
        assert not alive or (deadline is not None)
        assert all(deadline is None or deadline <= until for _, until in alive.values())
