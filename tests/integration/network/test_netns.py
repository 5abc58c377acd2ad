import errno
import os
import socket
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import pytest

from swarmd.network.kernel import netns
from swarmd.network.kernel.reservoir import AHEAD, Reservoir

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="namespaces need root"),
]


T = TypeVar("T")


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


def own_namespace() -> str:
    return os.readlink("/proc/thread-self/ns/net")


def in_worker(call: Callable[[], T]) -> T:
    with ThreadPoolExecutor(max_workers=1) as workers:
        return workers.submit(call).result()


def test_a_worker_goes_there_by_itself_and_is_back_whatever_happens(path: Path):
    def work() -> None:
        before, thread = own_namespace(), threading.get_ident()
        netns.create(path)
        assert own_namespace() == before
        assert netns.inside(path, threading.get_ident) == thread
        assert netns.inside(path, own_namespace) != before
        with pytest.raises(ZeroDivisionError):
            netns.inside(path, lambda: 1 // 0)
        with pytest.raises(FileNotFoundError):
            netns.inside(path.with_name("none"), own_namespace)
        assert own_namespace() == before

    in_worker(work)


def test_a_visit_within_a_visit_ends_where_it_began(path: Path):
    other = path.with_name("other")

    def work() -> None:
        netns.create(path)
        netns.create(other)

        def visit() -> None:
            first = own_namespace()
            assert netns.inside(other, own_namespace) != first
            assert own_namespace() == first

        netns.inside(path, visit)

    try:
        in_worker(work)
    finally:
        netns.remove(other)


def test_a_thread_that_is_started_inside_can_go_home(path: Path):
    netns.create(path)

    def start() -> str:
        with ThreadPoolExecutor(max_workers=1, initializer=netns.go_home) as workers:
            return workers.submit(own_namespace).result()

    assert in_worker(lambda: netns.inside(path, start)) == own_namespace()


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


def test_sockets_of_another_namespace_are_made_some_at_a_time_and_closed_if_nobody_takes_them(
    path: Path,
):
    netns.create(path)
    before = len(os.listdir("/proc/self/fd"))
    reservoir = Reservoir(path)
    with reservoir(socket.AF_INET, socket.SOCK_STREAM) as one:
        # Nobody is there to route for: it isn't this process's network.
        assert one.connect_ex(("127.0.0.1", 9)) == errno.ENETUNREACH
        assert len(os.listdir("/proc/self/fd")) == before + AHEAD
        with reservoir(socket.AF_INET, socket.SOCK_STREAM):
            assert len(os.listdir("/proc/self/fd")) == before + AHEAD
    reservoir.close()
    assert len(os.listdir("/proc/self/fd")) == before
