"""Every limit of a service spec, on both sides."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from swarmd.manager.validate import check_service_spec, check_service_update
from swarmd.manager.validate.limits import INT64_MAX
from swarmd.model.errors import Code, Rejection
from swarmd.model.spec import (
    EndpointSpec,
    GlobalMode,
    LogDriver,
    Placement,
    PlacementPreference,
    PortConfig,
    Replicated,
    ResourceRequirements,
    Resources,
    RestartPolicy,
    ServiceMode,
    ServiceSpec,
    SpreadOver,
    UpdateConfig,
)
from swarmd.model.states import Balance, PortPolicy, Protocol, PublishMode, ResolutionMode
from tests.support.specs import a_container, a_spec, a_task_spec, published

MIB = 1024 * 1024
NAN = float("nan")


def task(**fields: Any) -> ServiceSpec:
    return a_spec(task_template=a_task_spec(**fields))


def container(**fields: Any) -> ServiceSpec:
    return task(container_spec=a_container(**fields))


def limited(**amounts: int) -> ServiceSpec:
    return task(resources=ResourceRequirements(limits=Resources(**amounts)))


def reserved(**amounts: int) -> ServiceSpec:
    return task(resources=ResourceRequirements(reservations=Resources(**amounts)))


def restarting(**fields: Any) -> ServiceSpec:
    return task(restart_policy=RestartPolicy(**fields))


def placed(*constraints: str, **fields: Any) -> ServiceSpec:
    return task(placement=Placement(constraints=constraints, **fields))


def spread(descriptor: str) -> ServiceSpec:
    return placed(
        preferences=(PlacementPreference(spread=SpreadOver(spread_descriptor=descriptor)),)
    )


def updating(**fields: Any) -> ServiceSpec:
    return a_spec(update_config=UpdateConfig(**fields))


def rolling_back(**fields: Any) -> ServiceSpec:
    return a_spec(rollback_config=UpdateConfig(**fields))


def port(**fields: Any) -> ServiceSpec:
    return a_spec(endpoint_spec=EndpointSpec(ports=(PortConfig(**fields),)))


ACCEPTED = {
    "plain": a_spec(),
    "name of one letter": a_spec("a"),
    "name of 63": a_spec("a" * 63),
    "name with joints": a_spec("a-b_c--d9"),
    "label": a_spec(labels={"a.b/c": ""}),
    "no replicas": a_spec(replicas=0),
    "most replicas": a_spec(replicas=100_000),
    "lowest priority": task(priority=-1_000_000),
    "highest priority": task(priority=1_000_000),
    "all available": a_spec(replicas=3, min_available=3),
    "most available": a_spec(min_available=1_000_000),
    "default replicas": a_spec(mode=ServiceMode(replicated=Replicated())),
    "global": a_spec(mode=ServiceMode(global_=GlobalMode())),
    "no cpu": limited(nano_cpus=0),
    "least cpu": limited(nano_cpus=1_000_000),
    "no memory": limited(memory_bytes=0),
    "least memory": reserved(memory_bytes=4 * MIB),
    "pids": limited(pids=1),
    "delay of zero": restarting(delay_ns=0),
    "window of zero": restarting(window_ns=0),
    "attempts": restarting(max_attempts=3),
    "constraint": placed("node.role==manager", "engine.labels.x != y"),
    "spread over a label": spread("node.labels.rack"),
    "spread over an engine label": spread("engine.labels.rack"),
    "per node": placed(max_replicas=1),
    "json log": task(log_driver=LogDriver(name="json-file")),
    "no log": task(log_driver=LogDriver(name="none")),
    "sctp": port(target_port=80, protocol=Protocol.SCTP),
    "port on an address": port(target_port=80, address="2001:db8::1"),
    "port on an interface": port(target_port=80, address="eth0.7"),
    "image only": container(image="nginx:1.27", command=()),
    "image with registry": container(image="reg.example.com:5000/team/app_x:v1.2-3"),
    "image with digest": container(image="nginx@sha256:" + "0" * 64),
    "process with args only": container(executor="process", command=(), args=("true",)),
    "environment": container(env=("A=1", "B=", "C", "D={{.Task.Slot}}")),
    "template": container(hostname="web-{{.Task.Slot}}", dir="/srv/{{.Node.ID}}"),
    "no grace": container(stop_grace_period_ns=0),
    "signal": container(stop_signal="SIGQUIT"),
    "short signal": container(stop_signal="usr1"),
    "signal number": container(stop_signal="64"),
    "real time signal": container(stop_signal="SIGRTMIN+3"),
    "parallelism of zero": updating(parallelism=0),
    "no monitor": updating(monitor_ns=0, delay_ns=0),
    "whole ratio": updating(max_failure_ratio=1.0),
    "lowest port": port(target_port=1, published_port=1),
    "highest port": port(target_port=65_535, published_port=65_535),
    "chosen port": port(target_port=80, published_port=0),
    "names for tasks": a_spec(endpoint_spec=EndpointSpec(mode=ResolutionMode.DNSRR)),
    "policy": port(target_port=80, policy=PortPolicy.LOCAL),
    "balance": a_spec(
        endpoint_spec=EndpointSpec(balance=Balance.SOURCE_HASH, weight_label="example.com/cpus")
    ),
    "host port": port(target_port=80, published_port=80, publish_mode=PublishMode.HOST),
    "one number in both protocols": a_spec(
        endpoint_spec=EndpointSpec(
            ports=(
                PortConfig(target_port=53, published_port=53),
                PortConfig(target_port=53, published_port=53, protocol=Protocol.UDP),
            )
        )
    ),
    "one target on two ports": a_spec(endpoint_spec=published(80, 81, 0, 0)),
}

REFUSED = {
    "no name": (a_spec(""), "service name is missing"),
    "name of 64": (a_spec("a" * 64), "64 characters long, the limit is 63"),
    "name with a dot": (a_spec("a.b"), "service name 'a.b' is not valid"),
    "name ending in a joint": (a_spec("a-"), "is not valid"),
    "name beginning with a joint": (a_spec("_a"), "is not valid"),
    "name with a letter beyond ASCII": (a_spec("wéb"), "is not valid"),
    "name with a line end": (a_spec("web\n"), "is not valid"),
    "label without key": (a_spec(labels={"": "x"}), "without a key"),
    "label with NUL": (a_spec(labels={"a": "\0"}), "NUL"),
    "huge label": (a_spec(labels={"a": "x" * 4096}), "the limit is 4096"),
    "negative replicas": (a_spec(replicas=-1), "replicas is -1"),
    "too low a priority": (task(priority=-1_000_001), "task.priority is -1000001"),
    "too high a priority": (task(priority=1_000_001), "task.priority"),
    "fewer than none available": (a_spec(min_available=-1), "min_available is -1"),
    "too many available": (a_spec(min_available=1_000_001), "min_available"),
    "too many replicas": (a_spec(replicas=100_001), "between 0 and 100000"),
    "no mode": (a_spec(mode=ServiceMode()), "mode is missing"),
    "two modes": (
        a_spec(mode=ServiceMode(replicated=Replicated(), global_=GlobalMode())),
        "choose one",
    ),
    "too little cpu": (
        limited(nano_cpus=999_999),
        "resources.limits.nano_cpus is 0.000999999 CPUs",
    ),
    "negative cpu": (reserved(nano_cpus=-1), "resources.reservations.nano_cpus"),
    "too little memory": (limited(memory_bytes=4 * MIB - 1), "at least 4 MiB"),
    "negative memory": (reserved(memory_bytes=-1), "resources.reservations.memory_bytes"),
    "negative pids": (limited(pids=-1), "resources.limits.pids is -1"),
    "reserved pids": (reserved(pids=1), "pids cannot be reserved"),
    "negative delay": (restarting(delay_ns=-1), "restart.delay is -1e-06ms"),
    "negative window": (restarting(window_ns=-1), "restart.window"),
    "too many attempts": (restarting(max_attempts=INT64_MAX + 1), "restart.max_attempts"),
    "bad constraint": (placed("node.role=manager"), "placement.constraints: constraint"),
    "spread over nothing": (spread(""), "cannot spread over ''"),
    "spread over a prefix": (spread("node.labels."), "cannot spread over"),
    "spread over a field": (spread("node.id"), "cannot spread over 'node.id'"),
    "negative per node": (placed(max_replicas=-1), "placement.max_replicas"),
    "nothing to run": (task(container_spec=None), "say what to run"),
    "unknown executor": (container(executor="qemu"), "'qemu' is unknown"),
    "neither image nor command": (container(command=()), "container.image is missing"),
    "process without command": (container(executor="process", command=()), "needs a command"),
    "empty program": (container(command=("", "x")), "empty word"),
    "NUL in an argument": (container(args=("a\0",)), "container.args contains a NUL"),
    "image with a space": (container(image="a b"), "not a valid image reference"),
    "image in capitals": (container(image="Nginx"), "not a valid image reference"),
    "image with an empty tag": (container(image="nginx:"), "not a valid image reference"),
    "huge image": (container(image="a" * 513), "not a valid image reference"),
    "environment without a name": (container(env=("=x",)), "has no name"),
    "environment with NUL": (container(env=("A=\0",)), "'A' contains a NUL"),
    "container label": (container(labels={"": ""}), "container labels"),
    "negative grace": (container(stop_grace_period_ns=-1), "stop_grace_period"),
    "unknown signal": (container(stop_signal="SIGNAL"), "'SIGNAL' is not a signal"),
    "signal number zero": (container(stop_signal="0"), "'0' is not a signal"),
    "signal number 65": (container(stop_signal="65"), "'65' is not a signal"),
    "relative directory": (container(dir="tmp"), "not an absolute path"),
    "relative directory by template": (container(dir="{{.Task.Slot}}"), "not an absolute path"),
    "bad template": (container(env=("A={{.Nope}}",)), "container.env A: template value '.Nope'"),
    "missing label": (container(args=('{{index .Service.Labels "x"}}',)), "label 'x'"),
    "long host name": (container(hostname="h" * 254), "the limit is 253"),
    "negative parallelism": (updating(parallelism=-1), "update.parallelism is -1"),
    "negative update delay": (updating(delay_ns=-1), "update.delay"),
    "negative monitor": (updating(monitor_ns=-1), "update.monitor"),
    "negative ratio": (updating(max_failure_ratio=-0.1), "update.max_failure_ratio is -0.1"),
    "ratio above one": (updating(max_failure_ratio=1.01), "between 0 and 1"),
    "ratio that is no number": (updating(max_failure_ratio=NAN), "max_failure_ratio is nan"),
    "rollback ratio": (rolling_back(max_failure_ratio=2.0), "rollback.max_failure_ratio is 2"),
    "no target port": (port(published_port=80), "endpoint.ports.target_port is 0"),
    "target port too high": (port(target_port=65_536), "between 1 and 65535"),
    "published port too high": (port(target_port=80, published_port=65_536), "published_port"),
    "negative drain": (
        a_spec(endpoint_spec=EndpointSpec(drain_timeout_ns=-1)),
        "endpoint.drain_timeout",
    ),
    "balance without an address": (
        a_spec(
            endpoint_spec=EndpointSpec(
                mode=ResolutionMode.DNSRR, balance=Balance.SOURCE_HASH, weight_label="cpus"
            )
        ),
        "source-hash and weights by node.labels.cpus takes endpoint mode vip",
    ),
    "no label": (
        a_spec(endpoint_spec=EndpointSpec(weight_label="two words")),
        "endpoint.weight_label is 'two words'",
    ),
    "policy of a host port": (
        port(target_port=80, publish_mode=PublishMode.HOST, policy=PortPolicy.LOCAL),
        "mode=host",
    ),
    "all addresses of a host port": (
        port(target_port=80, publish_mode=PublishMode.HOST, address="::"),
        "leave the address out",
    ),
    "no address": (port(target_port=80, address="not an address"), "neither an IP address"),
    "all addresses": (port(target_port=80, address="0.0.0.0"), "leave the address out"),
    "port published twice": (a_spec(endpoint_spec=published(80, 80)), "port 80/tcp twice"),
    "ingress port without an address": (
        a_spec(
            endpoint_spec=EndpointSpec(
                mode=ResolutionMode.DNSRR, ports=(PortConfig(target_port=80),)
            )
        ),
        "endpoint.mode is dnsrr",
    ),
}

NOT_YET = {
    "log driver": (task(log_driver=LogDriver(name="syslog")), "log driver 'syslog'"),
}


@pytest.mark.parametrize("spec", ACCEPTED.values(), ids=ACCEPTED.keys())
def test_a_spec_within_the_limits_is_accepted(spec):
    check_service_spec(spec)


@pytest.mark.parametrize(("spec", "sentence"), REFUSED.values(), ids=REFUSED.keys())
def test_a_spec_beyond_a_limit_is_refused_with_the_field(spec, sentence):
    with pytest.raises(Rejection) as refusal:
        check_service_spec(spec)
    assert refusal.value.code is Code.INVALID_ARGUMENT
    assert sentence in refusal.value.message


@pytest.mark.parametrize(("spec", "sentence"), NOT_YET.values(), ids=NOT_YET.keys())
def test_what_this_version_cannot_do_is_refused_by_name(spec, sentence):
    with pytest.raises(Rejection) as refusal:
        check_service_spec(spec)
    assert refusal.value.code is Code.UNIMPLEMENTED
    assert sentence in refusal.value.message


def test_of_several_faults_the_first_in_order_is_named():
    spec = replace(placed("nonsense"), name="", mode=ServiceMode())
    with pytest.raises(Rejection, match="name is missing"):
        check_service_spec(spec)
    with pytest.raises(Rejection, match="nonsense"):
        check_service_spec(replace(spec, name="a"))


@pytest.mark.parametrize(
    ("new", "sentence"),
    [
        (a_spec("other"), "cannot be renamed"),
        (a_spec(mode=ServiceMode(global_=GlobalMode())), "service mode change is not allowed"),
    ],
)
def test_an_update_cannot_make_it_another_service(new, sentence):
    with pytest.raises(Rejection, match=sentence) as refusal:
        check_service_update(a_spec(), new)
    assert refusal.value.code is Code.UNIMPLEMENTED


def test_an_update_may_change_everything_else():
    check_service_update(a_spec(), a_spec(replicas=7, labels={"a": "b"}))
