"""The versions a service remembers, whatever is done to it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from swarmd.model import versions
from swarmd.model.ids import ServiceId
from swarmd.model.instant import Instant
from swarmd.model.service import Service
from swarmd.model.states import UpdateState
from tests.support.specs import a_container, a_spec, a_task_spec

SERVICE = Service(id=ServiceId("s"), spec=a_spec(), version=10)


def image(name: str):
    return a_spec(task_template=a_task_spec(container_spec=a_container(image=name)))


def update(service: Service, name: str, *, limit: int = 10) -> Service:
    new = versions.updated(service, image(name), now=Instant(service.version), limit=limit)
    return replace(new, version=service.version + 1)


def back(service: Service, spec_version: int) -> Service:
    past = next(v for v in versions.past(service) if v.spec_version == spec_version)
    new = versions.gone_back(service, past, now=Instant(7), limit=10, message="asked")
    return replace(new, version=service.version + 1)


def numbers(service: Service) -> list[int]:
    return [version.spec_version for version in versions.past(service)]


def test_an_update_remembers_what_it_replaces_and_when() -> None:
    service = update(update(SERVICE, "a"), "b")
    assert [(v.spec_version, v.replaced_at) for v in service.history] == [(10, 11), (0, 10)]
    assert service.spec_version == 11
    assert service.previous_spec == image("a") == service.history[0].spec


def test_going_back_takes_the_old_number_along_and_remembers_what_was_left() -> None:
    service = back(update(update(SERVICE, "a"), "b"), 0)
    assert (service.spec, service.spec_version) == (SERVICE.spec, 0)
    assert numbers(service) == [11, 10]
    assert service.update_status is not None
    assert service.update_status.state is UpdateState.ROLLBACK_STARTED


def test_as_many_versions_are_kept_as_the_limit_says() -> None:
    service = SERVICE
    for name in "abcdef":
        service = update(service, name, limit=3)
    assert numbers(service) == [14, 13, 12]
    assert numbers(update(service, "g", limit=0)) == [15], "swarm mode's previous spec stays"


def test_large_specs_are_kept_in_fewer_versions() -> None:
    service = SERVICE
    for name in "abcdef":
        service = update(service, name * 200_000)
    assert len(service.history) == 2


def test_a_service_of_before_histories_goes_back_to_its_previous_spec() -> None:
    old = replace(SERVICE, previous_spec=image("a"), previous_spec_version=4, spec_version=9)
    assert numbers(old) == [4]
    assert numbers(back(old, 4)) == [9]


@given(st.lists(st.one_of(st.sampled_from("abcd"), st.integers(0, 9)), max_size=20))
def test_every_version_is_remembered_once_and_the_present_one_never(steps) -> None:
    service = SERVICE
    for step in steps:
        known = versions.past(service)
        if isinstance(step, str):
            service = update(service, step)
        elif known:
            service = back(service, known[step % len(known)].spec_version)
        seen = numbers(service)
        assert len(set(seen)) == len(seen) <= 10
        assert service.spec_version not in seen
