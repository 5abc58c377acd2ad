"""How a registry wants to be asked: challenges, tokens, credentials. Pure."""

from __future__ import annotations

import base64
import binascii
import re
from urllib.parse import urlencode

import msgspec

from swarmd.model.record import Record

_PARAMETER = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"|(\w+)=([^\s,"]+)')


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


class BadCredentials(ValueError):
    """The text holds no credentials; it is not repeated in the message."""


class Challenge(Record, frozen=True):
    """What a registry answers to whom it does not know."""

    scheme: str  # "bearer" or "basic"
    realm: str = ""
    service: str = ""
    scope: str = ""


class _Encoded(msgspec.Struct, frozen=True):
    username: str = ""
    password: str = ""
    auth: str = ""
    identitytoken: str = ""


class _Token(msgspec.Struct, frozen=True):
    token: str = ""
    access_token: str = ""


def decode_credentials(text: str) -> Credentials:
    """Credentials as clients send them along with a spec: base64 of a JSON object.

    Raises:
        BadCredentials
    """
    if not text:
        return Credentials()
    try:
        data = base64.b64decode(text.replace("-", "+").replace("_", "/") + "==")
        found = msgspec.json.decode(data, type=_Encoded)
        if found.auth and not found.username:
            username, _, password = base64.b64decode(found.auth + "==").decode().partition(":")
            return Credentials(username, password, found.identitytoken)
    except (binascii.Error, msgspec.DecodeError, UnicodeDecodeError):
        raise BadCredentials("the credentials for the registry cannot be read") from None
    return Credentials(found.username, found.password, found.identitytoken)


def parse_challenge(header: str) -> Challenge | None:
    """The challenge in a WWW-Authenticate header that we can answer, if there is one."""
    scheme, _, rest = header.strip().partition(" ")
    if scheme.lower() == "basic":
        return Challenge(scheme="basic")
    if scheme.lower() != "bearer":
        return None
    values = {}
    for match in _PARAMETER.finditer(rest):
        quoted, text, bare, word = match.groups()
        values[quoted or bare] = re.sub(r"\\(.)", r"\1", text) if quoted else word
    return Challenge(
        scheme="bearer",
        realm=values.get("realm", ""),
        service=values.get("service", ""),
        scope=values.get("scope", ""),
    )


def token_url(challenge: Challenge, *, scope: str, credentials: Credentials) -> str:
    """Where the token is to be had that the challenge asks for."""
    query = {"service": challenge.service, "scope": challenge.scope or scope}
    if credentials.username:
        query["account"] = credentials.username
    separator = "&" if "?" in challenge.realm else "?"
    return challenge.realm + separator + urlencode({k: v for k, v in query.items() if v})


def parse_token(data: bytes) -> str:
    """The token in an answer; empty when there is none."""
    try:
        found = msgspec.json.decode(data, type=_Token)
    except msgspec.DecodeError:
        return ""
    return found.token or found.access_token
