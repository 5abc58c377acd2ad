"""Who somebody is to a registry, and how the swarm keeps that: as a secret of its own.

There is one login per registry. It is an internal secret whose id follows from the registry, so
that what a task needs can be told from the name of its image; logging in again changes its data and
with it its version.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from functools import lru_cache

import msgspec

from swarmd.model import reference
from swarmd.model.ids import SecretId, id_from_bytes
from swarmd.model.record import Record
from swarmd.model.secret import Secret, SecretSpec

USERNAME = "swarmd.registry.username"
HELPER = "swarmd.registry.helper"
# Names of users' secrets hold no slash, so the two never meet.
_PREFIX = "registry/"
_IMAGES_REMEMBERED = 4096


class Credentials(Record, frozen=True):
    """Who we are to a registry; anonymous when empty."""

    username: str = ""
    password: str = ""
    identity_token: str = ""

    def __repr__(self) -> str:
        return f"Credentials({self.username!r}, ***)"

    @property
    def basic(self) -> str:
        """The header of basic authentication; empty for nobody."""
        if not self.username:
            return ""
        pair = f"{self.username}:{self.password}".encode()
        return f"Basic {base64.b64encode(pair).decode()}"


NOBODY = Credentials()


class BadCredentials(ValueError):
    """The text holds no credentials; it is not repeated in the message."""


class _Encoded(msgspec.Struct, frozen=True, omit_defaults=True):
    username: str = ""
    password: str = ""
    auth: str = ""
    identitytoken: str = ""


def decode_credentials(text: str) -> Credentials:
    """Credentials as clients send them along with a spec: base64 of a JSON object.

    Raises:
        BadCredentials
    """
    if not text:
        return NOBODY
    try:
        data = base64.b64decode(text.replace("-", "+").replace("_", "/") + "==")
        found = msgspec.json.decode(data, type=_Encoded)
        if found.auth and not found.username:
            username, _, password = base64.b64decode(found.auth + "==").decode().partition(":")
            return Credentials(username, password, found.identitytoken)
    except (binascii.Error, msgspec.DecodeError, UnicodeDecodeError):
        raise BadCredentials("the credentials for the registry cannot be read") from None
    return Credentials(found.username, found.password, found.identitytoken)


def encode_credentials(credentials: Credentials) -> str:
    """What `decode_credentials` reads; empty for nobody."""
    if credentials == NOBODY:
        return ""
    document = _Encoded(
        username=credentials.username,
        password=credentials.password,
        identitytoken=credentials.identity_token,
    )
    return base64.urlsafe_b64encode(msgspec.json.encode(document)).decode()


def login_id(registry: str) -> SecretId:
    """The id of the secret that holds the swarm's login to a registry."""
    digest = hashlib.sha256(f"swarmd login {registry}".encode()).digest()
    return SecretId(id_from_bytes(digest[:17]))


@lru_cache(maxsize=_IMAGES_REMEMBERED)
def login_id_for(image: str) -> SecretId | None:
    """The id of the login that an image is pulled with, if there is one; None for a bad name."""
    try:
        return login_id(reference.parse(image).registry)
    except reference.BadReference:
        return None


def login_secret(registry: str, credentials: Credentials, *, helper: str = "") -> Secret:
    """The secret in which the swarm keeps a login.

    Args:
        helper: the program that tells it, if one does.
    """
    spec = SecretSpec(
        name=f"{_PREFIX}{registry}",
        labels={USERNAME: credentials.username, **({HELPER: helper} if helper else {})},
        data=encode_credentials(credentials).encode(),
    )
    return Secret(id=login_id(registry), spec=spec, internal=True)


def registry_of_login(secret: Secret) -> str:
    """The registry that a secret is the login to; empty for any other secret."""
    name = secret.spec.name
    return name.removeprefix(_PREFIX) if secret.internal and name.startswith(_PREFIX) else ""


def credentials_of(secret: Secret) -> Credentials:
    """The credentials in a secret of `login_secret`."""
    return decode_credentials(secret.spec.data.decode())
