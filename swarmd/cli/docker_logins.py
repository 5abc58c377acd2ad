"""The logins that `docker login` has left on this machine.

They are in `config.json`, or with a program that keeps them.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping
from pathlib import Path

import msgspec

from swarmd.cli.errors import CliError
from swarmd.manager.credential_helper import HelperFailed, is_name, keys_of, login_under
from swarmd.model import reference
from swarmd.model.registry_login import (
    NOBODY,
    BadCredentials,
    Credentials,
    decode_credentials,
    encode_credentials,
)


class _Login(msgspec.Struct, frozen=True):
    auth: str = ""
    identitytoken: str = ""
    username: str = ""
    password: str = ""


class _Config(msgspec.Struct, frozen=True, rename="camel"):
    auths: Mapping[str, _Login] = {}
    cred_helpers: Mapping[str, str] = {}
    creds_store: str = ""


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
    keys = keys_of(registry)
    for key in keys:
        helper = config.cred_helpers.get(key, config.creds_store)
        if helper:
            kept = _kept_by(helper, key)
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


def _kept_by(helper: str, key: str) -> Credentials:
    if not is_name(helper):
        raise CliError(f"{helper[:80]!r} in {config_path()} is no name of a credential helper")
    try:
        return login_under(helper, key)
    except HelperFailed as error:
        raise CliError(str(error)) from None
