import os
import socket
import threading
from pathlib import Path

import pytest

from swarmd.network.kernel import netns

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="namespaces need root"),
]


def interfaces() -> list[str]:
    return [name for _, name in socket.if_nameindex()]


@pytest.fixture
def path(tmp_path: Path):
    made = tmp_path / "below" / "space"
    yield made
    netns.remove(made)


def test_a_new_namespace_holds_nothing_but_a_loopback_interface(path: Path):
    assert netns.create(path)
    assert netns.inside(path, interfaces) == ["lo"]
    assert netns.inode(path) not in (None, netns.inode(None))


def test_making_a_namespace_twice_keeps_the_first(path: Path):
    netns.create(path)
    first = netns.inode(path)
    assert not netns.create(path)
    assert netns.inode(path) == first


def test_a_mere_file_left_at_the_path_is_no_namespace_and_does_not_matter(path: Path):
    path.parent.mkdir()
    path.touch()
    assert not netns.exists(path)
    assert netns.create(path)
    assert netns.exists(path)


def test_no_thread_of_the_daemon_changes_its_namespace(path: Path):
    netns.create(path)
    before = os.readlink("/proc/thread-self/ns/net")
    threads = threading.active_count()
    assert netns.inside(path, lambda: os.readlink("/proc/thread-self/ns/net")) != before
    assert os.readlink("/proc/thread-self/ns/net") == before
    assert threading.active_count() == threads


def test_a_socket_made_inside_stays_there_and_works_outside(path: Path):
    netns.create(path)
    with netns.inside(path, socket.socket) as inner, pytest.raises(OSError, match="unreachable"):
        inner.connect(("127.0.0.1", 9))  # the loopback interface in there is down


def test_what_the_call_raises_is_raised_here(path: Path):
    netns.create(path)
    with pytest.raises(ZeroDivisionError):
        netns.inside(path, lambda: 1 // 0)


def test_a_missing_namespace_is_told_apart_from_one_that_cannot_be_entered(path: Path):
    with pytest.raises(FileNotFoundError):
        netns.inside(path, interfaces)
    path.parent.mkdir()
    path.touch()
    with pytest.raises(FileNotFoundError, match="no network namespace"):
        netns.inside(path, interfaces)


def test_removing_leaves_no_file_and_may_be_repeated(path: Path):
    netns.create(path)
    netns.remove(path)
    assert not path.exists()
    netns.remove(path)


def test_a_namespace_can_be_kept_by_way_of_a_process_that_is_in_it(path: Path):
    netns.keep(path, pid=os.getpid())
    assert netns.inode(path) == netns.inode(None)


def test_no_path_stands_for_the_namespace_of_this_process():
    assert netns.inside(None, interfaces) == interfaces()
