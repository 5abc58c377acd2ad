"""How a registry wants to be asked: challenges and tokens. Pure."""

from __future__ import annotations

import re
from urllib.parse import urlencode

import msgspec

from swarmd.model.record import Record
from swarmd.model.registry_login import Credentials

_PARAMETER = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"|(\w+)=([^\s,"]+)')


class Challenge(Record, frozen=True):
    """What a registry answers to whom it does not know."""

    scheme: str  # "bearer" or "basic"
    realm: str = ""
    service: str = ""
    scope: str = ""


class _Token(msgspec.Struct, frozen=True):
    token: str = ""
    access_token: str = ""


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
