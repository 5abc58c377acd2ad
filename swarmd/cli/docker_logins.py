"""The logins that `docker login` has left on this machine.

They are in `config.json`, or with a program that keeps them (`docker-credential-…`), which is asked
in Docker's protocol: the registry on its input, a JSON object on its output.
"""

from __future__ import annotations

import base64
import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

import msgspec

from swarmd.cli.errors import CliError
from swarmd.model import reference
from swarmd.model.registry_login import (
    NOBODY,
    BadCredentials,
    Credentials,
    decode_credentials,
    encode_credentials,
)

DOCKER_HUB_KEY = "https://index.docker.io/v1/"
HELPER_S_MAX = 10.0
TOKEN_USER = "<token>"  # stands for a user name where the secret is a token
_HELPER = re.compile(r"[a-zA-Z0-9._-]+")


class _Login(msgspec.Struct, frozen=True):
    auth: str = ""
    identitytoken: str = ""
    username: str = ""
    password: str = ""


class _Config(msgspec.Struct, frozen=True, rename="camel"):
    auths: Mapping[str, _Login] = {}
    cred_helpers: Mapping[str, str] = {}
    creds_store: str = ""


class _Kept(msgspec.Struct, frozen=True, rename="pascal"):
    username: str = ""
    secret: str = ""


def registry_auth(image: str) -> str:
    """The login to an image's registry as specs carry it; empty when there is none.

    Raises:
        CliError: what there is can't be read.
    """
    try:
        registry = reference.parse(image).registry
    except reference.BadReference:
        return ""  # the manager says what is wrong with it
    return encode_credentials(login_to(registry))


def login_to(registry: str) -> Credentials:
    """The login to a registry, NOBODY if there is none."""
    path = config_path()
    try:
        config = msgspec.json.decode(path.read_bytes(), type=_Config)
    except FileNotFoundError:
        return NOBODY
    except (OSError, msgspec.DecodeError) as error:
        raise CliError(f"{path} can't be read: {error}") from None
    keys = _keys(registry)
    for key in keys:
        helper = config.cred_helpers.get(key, config.creds_store)
        if helper:
            kept = _ask(helper, key)
            if kept != NOBODY:
                return kept
    for key in keys:
        if key in config.auths:
            found = base64.b64encode(msgspec.json.encode(config.auths[key])).decode()
            try:
                return decode_credentials(found)
            except BadCredentials:
                raise CliError(f"the login to {registry} in {path} can't be read") from None
    return NOBODY


def config_path() -> Path:
    directory = os.environ.get("DOCKER_CONFIG")
    return Path(directory or Path.home() / ".docker") / "config.json"


def _keys(registry: str) -> tuple[str, ...]:
    """Under which names a registry may be kept."""
    if registry == reference.DOCKER_HUB:
        return (DOCKER_HUB_KEY, "index.docker.io", "docker.io")
    return (registry, f"https://{registry}", f"http://{registry}")


def _ask(helper: str, key: str) -> Credentials:
    if not _HELPER.fullmatch(helper):
        raise CliError(f"{helper[:80]!r} in {config_path()} is no name of a credential helper")
    try:
        answer = subprocess.run(
            [f"docker-credential-{helper}", "get"],
            input=key.encode(),
            capture_output=True,
            timeout=HELPER_S_MAX,
            check=False,
        )
        if answer.returncode != 0:
            return NOBODY  # which is how helpers say that they know nothing
        kept = msgspec.json.decode(answer.stdout, type=_Kept)
    except (OSError, subprocess.TimeoutExpired, msgspec.DecodeError) as error:
        raise CliError(f"docker-credential-{helper} does not answer: {error}") from None
    if kept.username == TOKEN_USER:
        return Credentials(identity_token=kept.secret)
    return Credentials(kept.username, kept.secret)
