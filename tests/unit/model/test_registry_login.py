"""Who the swarm is to registries: how that is written down, and kept."""

from __future__ import annotations

import base64
import json

import pytest
from msgspec.structs import replace

from swarmd.model.registry_login import (
    NOBODY,
    BadCredentials,
    Credentials,
    credentials_of,
    decode_credentials,
    encode_credentials,
    login_id_for,
    login_secret,
    registry_of_login,
)
from swarmd.model.secret import SecretSpec


def encoded(**fields: str) -> str:
    return base64.urlsafe_b64encode(json.dumps(fields).encode()).decode()


def test_credentials_arrive_in_both_forms_of_docker():
    pair = base64.b64encode(b"me:p:w").decode()
    assert decode_credentials(encoded(auth=pair)) == Credentials("me", "p:w")
    assert decode_credentials(encoded(username="me", password="x")) == Credentials("me", "x")
    assert decode_credentials("") == Credentials()


def test_credentials_that_cannot_be_read_are_not_repeated():
    with pytest.raises(BadCredentials) as refusal:
        decode_credentials("c2VjcmV0IQ==")
    assert "secret" not in str(refusal.value)
    assert "word" not in repr(Credentials("me", "word"))


@pytest.mark.parametrize(
    "credentials", [NOBODY, Credentials("me", "pä:ss"), Credentials(identity_token="t" * 3000)]
)
def test_what_is_encoded_is_read_again(credentials):
    assert decode_credentials(encode_credentials(credentials)) == credentials


def test_a_login_is_found_by_the_names_of_its_registrys_images():
    secret = login_secret("reg.test:5000", Credentials("me", "pw"))
    assert secret.internal
    assert registry_of_login(secret) == "reg.test:5000"
    assert credentials_of(secret) == Credentials("me", "pw")
    assert login_id_for("reg.test:5000/a/b:1") == login_id_for("reg.test:5000/c") == secret.id
    assert login_id_for("nginx") == login_secret("docker.io", NOBODY).id != secret.id
    assert login_id_for("not an image") is None


def test_a_users_secret_is_never_taken_for_a_login():
    secret = login_secret("reg.test", Credentials("me", "pw"))
    assert registry_of_login(replace(secret, internal=False)) == ""
    assert registry_of_login(replace(secret, spec=SecretSpec(name="registry"))) == ""
    assert "pw" not in repr(secret)
