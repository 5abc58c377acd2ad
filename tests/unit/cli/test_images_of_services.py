"""Which image a service is stored with: by digest, and with the login that nodes may need."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from swarmd.model.registry_login import Credentials, decode_credentials
from swarmd.model.spec import ContainerSpec
from tests.support.daemon import Daemon

DIGEST = "sha256:" + "1" * 64
OTHER = "sha256:" + "2" * 64


@pytest.fixture
def docker_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    directory = tmp_path / "docker"
    directory.mkdir()
    monkeypatch.setenv("DOCKER_CONFIG", str(directory))
    return directory / "config.json"


def container(daemon: Daemon, name: str = "web") -> ContainerSpec:
    service = daemon.swarm.store.find_service_by_name(name)
    assert service is not None
    found = service.spec.task_template.container_spec
    assert found is not None
    return found


def test_a_new_service_is_pinned_to_what_its_registry_has_now(daemon: Daemon) -> None:
    daemon.images.digests["nginx:1"] = DIGEST
    daemon.ok("service", "create", "--name", "web", "-d", "nginx:1")
    assert container(daemon).image == f"nginx:1@{DIGEST}"
    listed = daemon.ok("service", "ls")
    assert "nginx:1" in listed
    assert DIGEST not in listed


def test_a_tag_is_kept_on_request_and_when_nobody_knows_its_digest(daemon: Daemon) -> None:
    daemon.images.digests["nginx:1"] = DIGEST
    daemon.ok("service", "create", "--name", "web", "-d", "--no-resolve-image", "nginx:1")
    assert container(daemon).image == "nginx:1"
    result = daemon.run("service", "create", "--name", "api", "-d", "api:1")
    assert result.exit_code == 0
    assert "api:1 is not pinned to a digest" in result.stderr
    assert "no such image: api:1" in result.stderr
    assert container(daemon, "api").image == "api:1"


def test_nobody_is_asked_about_a_digest_that_was_given_or_an_image_that_was_loaded(
    daemon: Daemon,
) -> None:
    daemon.ok("service", "create", "--name", "web", "-d", f"nginx@{DIGEST}")
    assert daemon.images.requests == []
    daemon.images.digests["box:1"] = ""
    result = daemon.run("service", "create", "--name", "box", "-d", "box:1")
    assert result.stderr == ""
    assert container(daemon, "box").image == "box:1"


def test_an_update_pins_the_image_it_names_and_no_other(daemon: Daemon) -> None:
    daemon.images.digests |= {"nginx:1": DIGEST, "nginx:2": OTHER}
    daemon.ok("service", "create", "--name", "web", "-d", "nginx:1")
    daemon.images.digests["nginx:1"] = OTHER
    daemon.ok("service", "update", "-d", "--env-add", "A=b", "web")
    assert container(daemon).image == f"nginx:1@{DIGEST}"
    daemon.ok("service", "update", "-d", "--image", "nginx:2", "web")
    assert container(daemon).image == f"nginx:2@{OTHER}"


def test_the_login_of_docker_travels_with_the_spec_on_request_only(
    daemon: Daemon, docker_config: Path
) -> None:
    pair = base64.b64encode(b"me:pw").decode()
    docker_config.write_text(json.dumps({"auths": {"reg.test": {"auth": pair}}}))
    daemon.images.digests["reg.test/app:1"] = DIGEST
    create = ("service", "create", "-d", "--name")
    daemon.ok(*create, "web", "--with-registry-auth", "reg.test/app:1")
    assert decode_credentials(container(daemon).registry_auth) == Credentials("me", "pw")
    assert daemon.images.requests[-1].registry_auth == container(daemon).registry_auth
    daemon.ok(*create, "api", "reg.test/app:1")
    assert container(daemon, "api").registry_auth == ""
    daemon.ok("service", "update", "-d", "--with-registry-auth", "api")
    assert decode_credentials(container(daemon, "api").registry_auth) == Credentials("me", "pw")
    assert container(daemon, "api").image == f"reg.test/app:1@{DIGEST}"
    daemon.ok("service", "update", "-d", "--env-add", "A=b", "web")
    assert decode_credentials(container(daemon).registry_auth) == Credentials("me", "pw")


def test_a_program_that_keeps_logins_is_asked(
    daemon: Daemon, docker_config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    helper = docker_config.parent / "docker-credential-vault"
    helper.write_text(
        '#!/bin/sh\nread registry\n[ "$registry" = reg.test ] || exit 1\n'
        'echo \'{"ServerURL":"reg.test","Username":"<token>","Secret":"t1"}\'\n'
    )
    helper.chmod(0o755)
    monkeypatch.setenv("PATH", f"{helper.parent}:/usr/bin:/bin")
    docker_config.write_text(json.dumps({"credsStore": "vault"}))
    create = ("service", "create", "-d", "--no-resolve-image", "--with-registry-auth", "--name")
    daemon.ok(*create, "web", "reg.test/app:1")
    assert decode_credentials(container(daemon).registry_auth) == Credentials(identity_token="t1")
    daemon.ok(*create, "api", "other.test/app:1")
    assert container(daemon, "api").registry_auth == ""


def test_a_damaged_configuration_of_docker_is_named(daemon: Daemon, docker_config: Path) -> None:
    docker_config.write_text("{")
    result = daemon.run("service", "create", "-d", "--with-registry-auth", "nginx:1")
    assert result.exit_code == 1
    assert f"{docker_config} can't be read" in result.stderr
