"""What people write after flags."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from swarmd.cli import values
from swarmd.model.spec import PortConfig
from swarmd.model.states import PortPolicy, Protocol, PublishMode
from tests.support.fleet import discrete, named

TCP, UDP = Protocol.TCP, Protocol.UDP


def port(target: int, published: int = 0, protocol: Protocol = TCP) -> PortConfig:
    return PortConfig(target_port=target, published_port=published, protocol=protocol)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("80", [port(80)]),
        ("8080:80", [port(80, 8080)]),
        ("8080:80/tcp", [port(80, 8080)]),
        ("53:53/UDP", [port(53, 53, UDP)]),
        ("8000-8001:80-81", [port(80, 8000), port(81, 8001)]),
        ("80-81", [port(80), port(81)]),
        (":80", [port(80)]),
        ("target=80", [port(80)]),
        ("published=8080,target=80,protocol=udp", [port(80, 8080, UDP)]),
        ("127.0.0.1:8080:80", [replace(port(80, 8080), address="127.0.0.1")]),
        ("[::1]:8080:80", [replace(port(80, 8080), address="::1")]),
        ("published=8000-8001,target=80-81", [port(80, 8000), port(81, 8001)]),
        (
            "target=80,policy=local,address=eth1",
            [PortConfig(target_port=80, policy=PortPolicy.LOCAL, address="eth1")],
        ),
        (
            "target=80,published=8080,mode=host,name=web",
            [
                PortConfig(
                    name="web",
                    target_port=80,
                    published_port=8080,
                    publish_mode=PublishMode.HOST,
                )
            ],
        ),
    ],
)
def test_ports_are_read_in_both_forms(text, expected):
    assert list(values.ports(text)) == expected


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "is not a port"),
        ("web", "is not a port"),
        ("0", "outside 1-65535"),
        ("65536:80", "outside 1-65535"),
        ("80/icmp", "unknown protocol 'icmp'"),
        ("target=80,policy=any", "no policy of ports"),
        ("80-82:80-81", "pairs 3 published with 2"),
        ("82-80:1", "ends before it begins"),
        ("published=80", "has no target port"),
        ("target=80,mode=nat", "no publish mode"),
        ("target=80,colour=red", "not part of a port"),
        ("target=x", "is not a port"),
    ],
)
def test_malformed_ports_are_refused(text, complaint):
    with pytest.raises(ValueError, match=complaint):
        values.ports(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", 0),
        ("100", 100),
        ("1k", 1024),
        ("1.5M", 1_572_864),
        ("2g", 2 << 30),
        ("64MiB", 64 << 20),
        ("1 TB", 1 << 40),
    ],
)
def test_sizes_are_powers_of_1024(text, expected):
    assert values.size_bytes(text) == expected


@pytest.mark.parametrize("text", ["", "m", "-1m", "1x", "1,5m", "1e3"])
def test_malformed_sizes_are_refused(text):
    with pytest.raises(ValueError, match="is not a size"):
        values.size_bytes(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2", 2_000_000_000),
        ("0.5", 500_000_000),
        (".25", 250_000_000),
        ("1.000000001", 1_000_000_001),
    ],
)
def test_cpus_are_exact(text, expected):
    assert values.nano_cpus(text) == expected


@pytest.mark.parametrize("text", ["", ".", "half", "-1", "1.0000000001"])
def test_malformed_cpus_are_refused(text):
    with pytest.raises(ValueError, match="number of CPUs"):
        values.nano_cpus(text)


def test_a_variable_without_a_value_is_taken_from_here_or_left_out():
    assert values.environment(["A=1", "B", "C", "D="], {"B": "x=y"}) == ("A=1", "B=x=y", "D=")
    with pytest.raises(ValueError, match="has no name"):
        values.environment(["=1"], {})


def test_files_of_variables_may_have_comments():
    assert values.environment_file("# all\nA=1\n\n  B=x # y \n") == ["A=1", "B=x # y"]


def test_a_preference_names_what_to_spread_over():
    preference = values.preference("spread=node.labels.rack")
    assert preference.spread.spread_descriptor == "node.labels.rack"
    for text in ("node.labels.rack", "pack=node.labels.rack", "spread="):
        with pytest.raises(ValueError, match="write spread="):
            values.preference(text)


def test_labels_are_pairs():
    assert values.labels(["a=b", "c", "d=e=f"]) == {"a": "b", "c": "", "d": "e=f"}
    with pytest.raises(ValueError, match="has no key"):
        values.pair("=b")


def test_resources_of_a_node_are_numbers_or_names():
    assert values.offered_resources(("ssd=2,gpu=u1", "gpu=u2")) == (
        discrete("ssd", 2),
        *named("gpu", "u1", "u2"),
    )
    assert values.reserved_resource("gpu=2") == ("gpu", 2)


@pytest.mark.parametrize(
    ("read", "text", "words"),
    [
        (lambda text: values.offered_resources((text,)), "gpu", "write for example"),
        (lambda text: values.offered_resources((text,)), "gpu=1,gpu=2", "a number and something"),
        (lambda text: values.offered_resources((text,)), "gpu=1,gpu=u", "a number and something"),
        (lambda text: values.offered_resources((text,)), "gpu=u,gpu=u", "same name twice"),
        (values.reserved_resource, "gpu=u1", "no number"),
        (values.reserved_resource, "gpu=0", "no number"),
    ],
)
def test_resources_that_say_nothing_clear_are_refused(read, text, words):
    with pytest.raises(ValueError, match=words):
        read(text)


def test_a_label_of_nodes_is_named_as_constraints_name_it():
    assert values.node_label("node.labels.example.com/cpus") == "example.com/cpus"
    assert (values.node_label(""), values.node_label(None)) == ("", None)
    for text in ("cpus", "node.labels.", "node.hostname"):
        with pytest.raises(ValueError, match="is no label of nodes"):
            values.node_label(text)
