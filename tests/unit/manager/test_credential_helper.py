"""Programs that keep logins, asked as Docker asks them."""

from __future__ import annotations

from pathlib import Path

import pytest

from swarmd.manager.credential_helper import HelperFailed, is_name, login_from
from swarmd.model.registry_login import NOBODY, Credentials

# Knows one registry, by a key of Docker's own, and says nothing sensible about another.
SCRIPT = """#!/bin/sh
read key
case "$1 $key" in
  "get https://reg.test") echo '{"ServerURL": "x", "Username": "me", "Secret": "pw"}';;
  "get token.test") echo '{"Username": "<token>", "Secret": "t"}';;
  "get odd.test") echo odd;;
  *) echo credentials not found; exit 1;;
esac
"""


@pytest.fixture(autouse=True)
def helper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "docker-credential-shelf"
    program.write_text(SCRIPT)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")


@pytest.mark.parametrize(
    ("registry", "found"),
    [
        ("reg.test", Credentials("me", "pw")),
        ("token.test", Credentials(identity_token="t")),
        ("elsewhere.test", NOBODY),
    ],
)
def test_what_a_helper_keeps_is_found_under_any_name(registry: str, found: Credentials) -> None:
    assert login_from("shelf", registry) == found


def test_a_helper_that_is_missing_or_babbles_is_named() -> None:
    with pytest.raises(HelperFailed, match="docker-credential-none is not installed"):
        login_from("none", "reg.test")
    with pytest.raises(HelperFailed, match="docker-credential-shelf does not answer"):
        login_from("shelf", "odd.test")


def test_no_path_is_a_name() -> None:
    assert is_name("ecr-login")
    assert not any(map(is_name, ("", "../x", "a/b", "a b", "x" * 65)))
