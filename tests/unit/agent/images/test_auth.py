"""What registries ask of clients."""

from __future__ import annotations

import pytest

from swarmd.agent.images import auth
from swarmd.agent.images.auth import Challenge
from swarmd.model.registry_login import Credentials


def test_a_bearer_challenge_leads_to_a_token():
    challenge = auth.parse_challenge(
        'Bearer realm="https://auth.test/token?x=1",service="reg \\"1\\"",scope="repository:a:pull"'
    )
    assert challenge == Challenge(
        "bearer", "https://auth.test/token?x=1", 'reg "1"', "repository:a:pull"
    )
    url = auth.token_url(challenge, scope="", credentials=Credentials("me", "pw"))
    assert url == (
        "https://auth.test/token?x=1&service=reg+%221%22&scope=repository%3Aa%3Apull&account=me"
    )
    assert "pw" not in url


@pytest.mark.parametrize(
    ("header", "challenge"),
    [("Basic realm=x", Challenge("basic")), ("Negotiate", None), ("", None)],
)
def test_other_challenges(header, challenge):
    assert auth.parse_challenge(header) == challenge


def test_tokens_have_two_names_and_may_be_missing():
    assert auth.parse_token(b'{"token": "a"}') == "a"
    assert auth.parse_token(b'{"access_token": "b", "expires_in": 60}') == "b"
    assert auth.parse_token(b"<html>") == ""
