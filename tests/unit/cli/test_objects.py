"""`swarmd network`, `secret`, `config`, and services that use them."""

from __future__ import annotations

import json

import pytest

from swarmd.model.spec import FileTarget
from tests.support.commands import create, failing, spec_of


@pytest.fixture
def files(tmp_path):
    (tmp_path / "key").write_bytes(b"hidden")
    (tmp_path / "conf").write_bytes(b"open=1\n")
    return tmp_path


def container(daemon, name="web"):
    return spec_of(daemon, name).task_template.container_spec


def test_a_network_is_created_listed_inspected_and_removed(daemon):
    network_id = daemon.ok("network", "create", "-l", "a=b", "back").strip()
    lines = daemon.ok("network", "ls").splitlines()
    assert lines[0].split() == ["ID", "NAME", "DRIVER", "SCOPE", "SUBNETS"]
    assert "back" in lines[1]
    assert "10.0.1.0/24" in lines[1]
    assert daemon.ok("network", "ls", "-q", "-f", "label=a=b") == f"{network_id}\n"
    (document,) = json.loads(daemon.ok("network", "inspect", "back"))
    assert document["IPAMOptions"]["Configs"][0]["Gateway"] == "10.0.1.1"
    assert document["Addresses"] == {"Size": 254, "Services": 0, "Tasks": 0, "Nodes": 0}
    assert daemon.ok("network", "rm", "back") == "back\n"
    assert "no such network: back" in failing(daemon, "network", "inspect", "back")


def test_subnets_take_the_ranges_and_gateways_that_lie_in_them(daemon):
    daemon.ok(
        *("network", "create", "--ipv6", "--subnet", "10.20.0.0/16", "--subnet", "fd00:7::/64"),
        *("--ip-range", "10.20.8.0/24", "--gateway", "fd00:7::9", "-o", "encrypted=1", "big"),
        *("-o", "mtu=1400"),
    )
    (document,) = json.loads(daemon.ok("network", "inspect", "big"))
    first, second = document["IPAMOptions"]["Configs"]
    assert (first["Range"], first["Gateway"]) == ("10.20.8.0/24", "10.20.0.1")
    assert second["Gateway"] == "fd00:7::9"
    options = document["DriverState"]["Options"]
    assert options["encrypted"] == "1"
    assert options["com.docker.network.driver.mtu"] == "1400"


@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        (("--gateway", "10.1.0.1"), "lies in no subnet of its own"),
        (("--subnet", "web"), "takes a block such as"),
        (("--subnet", "10.1.0.0/24", "--gateway", "here"), "takes an address"),
    ],
)
def test_addresses_that_make_no_sense_are_usage_errors(daemon, flags, complaint):
    assert complaint in failing(daemon, "network", "create", *flags, "n", code=2)


def test_a_network_in_use_says_by_whom_and_shows_its_addresses(daemon):
    daemon.ok("network", "create", "back")
    create(daemon, "web", "--replicas", "2", "--network", "back")
    pretty = daemon.ok("network", "inspect", "--pretty", "back")
    assert "254, in use 1 by services, 2 by tasks" in pretty
    assert "is in use by service" in failing(daemon, "network", "rm", "back")


def test_services_join_and_leave_networks(daemon):
    daemon.ok("network", "create", "back")
    daemon.ok("network", "create", "front")
    create(daemon, "web", "-d", "--network", "name=back,alias=db,alias=store,driver-opt=a=b")
    (attachment,) = spec_of(daemon).task_template.networks
    assert attachment.target == daemon.swarm.store.find_network_by_name("back").id
    assert attachment.aliases == ("db", "store")
    assert attachment.driver_opts == {"a": "b"}
    daemon.ok("service", "update", "-d", "--network-add", "front", "--network-rm", "back", "web")
    (attachment,) = spec_of(daemon).task_template.networks
    assert attachment.target == daemon.swarm.store.find_network_by_name("front").id
    message = failing(daemon, "service", "update", "--network-add", "nothing", "web")
    assert "network(s) not found: nothing" in message


@pytest.mark.parametrize("kind", ["secret", "config"])
def test_a_file_is_created_listed_inspected_and_removed(daemon, files, kind):
    file_id = daemon.ok(kind, "create", "-l", "a=b", "one", str(files / "key")).strip()
    assert "one" in daemon.ok(kind, "ls").splitlines()[1]
    assert json.loads(daemon.ok(kind, "ls", "--format", "json"))["ID"] == file_id
    assert daemon.ok(kind, "ls", "-q", "-f", "name=o") == f"{file_id}\n"
    (document,) = json.loads(daemon.ok(kind, "inspect", "one"))
    assert document["Spec"]["Labels"] == {"a": "b"}
    assert ("Data" in document["Spec"]) is (kind == "config")
    assert ("hidden" in daemon.ok(kind, "inspect", "--pretty", "one")) is (kind == "config")
    assert daemon.ok(kind, "rm", "one") == "one\n"
    assert f"no such {kind}: one" in failing(daemon, kind, "rm", "one")


def test_a_secret_comes_from_standard_input(daemon):
    daemon.run("secret", "create", "one", "-", input="typed")
    assert daemon.swarm.store.find_secret_by_name("one").spec.data == b"typed"


def test_a_file_that_can_t_be_read_is_named(daemon, files):
    message = failing(daemon, "secret", "create", "one", str(files / "nothing"))
    assert "can't be read: No such file" in message


def test_services_are_given_secrets_and_configs(daemon, files):
    daemon.ok("secret", "create", "key", str(files / "key"))
    daemon.ok("config", "create", "conf", str(files / "conf"))
    create(
        daemon,
        "web",
        *("-d", "--secret", "source=key,target=/etc/key,uid=3,gid=4,mode=0400"),
        *("--config", "conf"),
    )
    (secret,), (config,) = container(daemon).secrets, container(daemon).configs
    assert secret.secret_id == daemon.swarm.store.find_secret_by_name("key").id
    assert secret.file == FileTarget(name="/etc/key", uid="3", gid="4", mode=0o400)
    assert config.file == FileTarget(name="conf", uid="0", gid="0", mode=0o444)
    assert "in use by the following service: web" in failing(daemon, "secret", "rm", "key")
    daemon.ok("service", "update", "-d", "--secret-rm", "key", "--config-rm", "conf", "web")
    assert (container(daemon).secrets, container(daemon).configs) == ((), ())
    daemon.ok("service", "update", "-d", "--secret-add", "key", "--config-add", "conf", "web")
    assert container(daemon).secrets[0].file.name == "key"
    assert container(daemon).configs[0].config_name == "conf"


@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        (("--secret", "target=x"), "has no source"),
        (("--secret", "source=key,mode=9"), "write it in octal"),
        (("--config", "name=x"), "is not understood"),
        (("--network", "alias=x"), "names no network"),
    ],
)
def test_references_that_make_no_sense_are_usage_errors(daemon, flags, complaint):
    words = ("service", "create", *flags, "nginx")
    assert complaint in failing(daemon, *words, code=2)


def test_a_secret_that_does_not_exist_is_named(daemon):
    words = ("service", "create", "--name", "web", "--secret", "nothing", "nginx")
    assert "no such secret: nothing" in failing(daemon, *words)


def test_init_passes_on_the_address_pools(daemon):
    daemon.ok(
        *("init", "--default-addr-pool", "10.20.0.0/16", "--default-addr-pool", "10.30.0.0/16"),
        *("--default-addr-pool-mask-length", "26"),
    )
    (request,) = daemon.local.requests
    assert list(request.default_addr_pool) == ["10.20.0.0/16", "10.30.0.0/16"]
    assert request.default_addr_pool_mask_length == 26
