"""What a node lets tasks have: its own words win, and its state is nobody's."""

from __future__ import annotations

from pathlib import Path

import pytest

from swarmd.agent.executors.base import TaskFailure
from swarmd.agent.policy import NodePolicy
from swarmd.model.host_access import HostAccess
from swarmd.model.spec import ContainerSpec

PRIVILEGED = ContainerSpec(host_access=HostAccess(privileged=True))


def test_a_node_without_words_does_as_the_cluster_says():
    policy = NodePolicy("n1")
    policy.check(PRIVILEGED, ("privileged",))
    with pytest.raises(TaskFailure) as refusal:
        policy.check(PRIVILEGED, ())
    said = str(refusal.value)
    assert said.startswith("it is privileged, which node n1 does not allow")
    assert "`swarmd update --allow privileged`" in said


def test_the_nodes_own_words_win():
    NodePolicy("n1", own=("privileged",)).check(PRIVILEGED, ("none",))
    for own in (("none",), ("pid",)):
        with pytest.raises(TaskFailure) as refusal:
            NodePolicy("n1", own=own).check(PRIVILEGED, ("all",))
        assert "swarmd update" not in str(refusal.value), "it would not help"


def test_the_state_of_the_node_is_never_mounted(tmp_path: Path):
    state = tmp_path / "state"
    state.mkdir()
    (tmp_path / "link").symlink_to(state)
    policy = NodePolicy("n1", own=("all",), protected=(state,))
    for path in (state, state / "worker" / "volumes", tmp_path / "link" / "raft"):
        with pytest.raises(TaskFailure, match="lies in the state directory of node n1"):
            policy.bind_source(str(path), ())
    assert policy.bind_source(str(tmp_path), ()) == str(tmp_path)
    assert policy.bind_source(f"{state}-beside", ()) == f"{state}-beside"


def test_links_lead_to_where_they_point(tmp_path: Path):
    inside = tmp_path / "srv"
    inside.mkdir()
    (inside / "out").symlink_to("/etc")
    policy = NodePolicy("n1")
    allow = (f"bind={inside}",)
    assert policy.bind_source(f"{inside}/../srv", allow) == str(inside)
    with pytest.raises(TaskFailure, match="mount only what bind="):
        policy.bind_source(f"{inside}/out", allow)
    with pytest.raises(TaskFailure, match="mount none"):
        policy.bind_source(str(inside), ("no-bind",))
