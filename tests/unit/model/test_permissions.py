"""What nodes allow, and what containers ask for."""

from __future__ import annotations

import pytest

from swarmd.model import permissions
from swarmd.model.host_access import Device, HostAccess, Privileges, Seccomp
from swarmd.model.spec import ContainerSpec
from swarmd.model.states import SeccompMode


def spec(**fields: object) -> ContainerSpec:
    return ContainerSpec(host_access=HostAccess(**fields))  # type: ignore[arg-type]


def test_an_ordinary_container_asks_for_nothing():
    plain = ContainerSpec(capability_add=("ALL",), privileges=Privileges(no_new_privileges=True))
    assert list(permissions.asked(plain)) == []
    assert permissions.refused(plain, ()) is None


def test_every_word_is_asked_for_by_something():
    everything = ContainerSpec(
        privileges=Privileges(seccomp=Seccomp(mode=SeccompMode.UNCONFINED)),
        host_access=HostAccess(
            privileged=True,
            devices=(Device(source="/dev/kvm"),),
            network=True,
            pid=True,
            ipc=True,
            uts=True,
            cgroup=True,
            user=True,
            shm_bytes=1,
            runtime="crun",
            cgroup_parent="/x",
        ),
    )
    asked = [ask.word for ask in permissions.asked(everything)]
    assert asked == list(permissions.WORDS)
    for word in permissions.WORDS:
        rest = tuple(other for other in permissions.WORDS if other != word)
        refused = permissions.refused(everything, rest)
        assert refused is not None
        assert refused.word == word
    assert permissions.refused(everything, permissions.WORDS) is None
    assert permissions.refused(everything, ("all",)) is None
    assert permissions.refused(everything, ("none",)) is not None


def test_words_are_checked_and_said_once():
    assert permissions.checked(("pid", "", "pid", "bind=/srv")) == ("pid", "bind=/srv")


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("root",), "'root' can't be allowed; there are privileged"),
        (("none", "pid"), "'none' allows nothing"),
        (("none", "all"), "'none' allows nothing"),
        (("bind=srv",), "names no directory"),
        (("bind=/srv/../etc",), "names no directory"),
        (("bind=/srv", "no-bind"), "contradict"),
    ],
)
def test_words_that_make_no_sense_are_refused(words, why):
    with pytest.raises(ValueError, match=why):
        permissions.checked(words)


@pytest.mark.parametrize(
    ("path", "allow", "may"),
    [
        ("/srv/x", (), True),
        ("/srv/x", ("none",), True),
        ("/srv/x", ("no-bind",), False),
        ("/srv/x", ("bind=/srv",), True),
        ("/srv", ("bind=/srv",), True),
        ("/srv2", ("bind=/srv",), False),
        ("/data", ("all", "bind=/srv", "bind=/data"), True),
        ("/etc", ("bind=/",), True),
    ],
)
def test_directories_may_be_mounted_unless_restricted(path, allow, may):
    assert permissions.may_bind(path, allow) is may
