"""Join tokens: `SWMTKN-1-<digest>-<secret>`, the one string that lets a machine become a node.

The digest pins the root: 50 base 36 digits of the SHA-256 of the root bundle's exact PEM bytes, so
a joining machine knows which cluster it talks to before it trusts anything. The secret, 25 base 36
digits of 128 random bits, decides the role. Version 2 adds a flag for clusters that demand FIPS
mode; it is understood, never made.

Entropy comes in as an argument. Secrets are compared in constant time. No sentence made here
repeats any part of a secret.
"""

from __future__ import annotations

import hashlib
import hmac
import re

from msgspec import Struct
from msgspec.structs import replace

from swarmd.model.cluster import JoinTokens, RootCA
from swarmd.model.errors import Rejection, invalid
from swarmd.model.ids import base36
from swarmd.model.states import Role

PREFIX = "SWMTKN"
SECRET_BYTES = 16
DIGEST_DIGITS = 50
SECRET_DIGITS = 25
# Clients recognise a refused token by this sentence; the reason follows it.
TOKEN_REFUSED = "A valid join token is necessary to join this cluster"

_DIGITS = re.compile(r"[0-9a-z]*")
_DIGEST_PART, _SECRET_PART = "the digest", "the secret"


class JoinToken(Struct, frozen=True):
    """A token taken apart; `digest` and `secret` are base 36 text."""

    digest: str
    secret: str
    needs_fips: bool = False

    def __repr__(self) -> str:
        return f"JoinToken(digest={self.digest!r}, secret hidden)"

    def pins(self, root_pem: bytes) -> bool:
        """Whether this token was made for exactly this root bundle."""
        return hmac.compare_digest(self.digest, root_digest(root_pem))


def root_digest(root_pem: bytes) -> str:
    """The digest of a root bundle as tokens carry it; every byte of the PEM counts."""
    number = int.from_bytes(hashlib.sha256(root_pem).digest(), "big")
    return base36(number, width=DIGEST_DIGITS)


def make_token(root_pem: bytes, secret: bytes) -> str:
    """The token for a root bundle with 16 random bytes as its secret."""
    if len(secret) != SECRET_BYTES:
        raise AssertionError(f"a token secret is made of {SECRET_BYTES} random bytes")
    digits = base36(int.from_bytes(secret, "big"), width=SECRET_DIGITS)
    return f"{PREFIX}-1-{root_digest(root_pem)}-{digits}"


def parse_token(text: str) -> JoinToken:
    """Take a token apart; blanks around it are forgiven, nothing else is.

    Raises:
        Rejection: INVALID_ARGUMENT, saying which part is wrong and in what way.
    """
    parts = text.strip().split("-")
    if parts == [""]:
        raise invalid("the join token is empty; get it with `swarmd token worker` on a manager")
    if parts[0] != PREFIX:
        raise invalid(
            f"the join token does not begin with {PREFIX}-; copy the whole line that "
            "`swarmd token worker` prints on a manager"
        )
    if len(parts) < 2 or not parts[1]:
        raise _truncated("only its prefix is there")
    match parts[1]:
        case "1":
            digest, secret = _two_parts(parts[2:])
            return JoinToken(digest, secret)
        case "2":
            if len(parts) < 3 or not parts[2]:
                raise _truncated("its FIPS flag is missing")
            if parts[2] not in ("0", "1"):
                raise invalid("the FIPS flag of the join token must be 0 or 1")
            digest, secret = _two_parts(parts[3:])
            return JoinToken(digest, secret, needs_fips=parts[2] == "1")
        case version if _DIGITS.fullmatch(version):
            raise invalid(
                f"the join token has version {version!r}; this swarmd knows versions 1 and 2"
            )
        case _:
            raise invalid("the version of the join token has characters that don't belong there")


def match_role(text: str, tokens: JoinTokens) -> Role | None:
    """The role a token grants, or None; always compares with both tokens, the manager's first."""
    candidate = text.strip().encode()
    is_manager = _same(candidate, tokens.manager)
    is_worker = _same(candidate, tokens.worker)
    if is_manager:
        return Role.MANAGER
    return Role.WORKER if is_worker else None


def explain_refusal(text: str, root_ca: RootCA) -> Rejection:
    """Why a token that matches neither of the cluster's is refused, and what to do about it."""
    try:
        token = parse_token(text)
    except Rejection as defect:
        return invalid(f"{TOKEN_REFUSED}: {defect.message}")
    if token.digest != root_ca.ca_cert_hash:
        return invalid(
            f"{TOKEN_REFUSED}: this token was made by another cluster, or before the root "
            "certificate of this one was replaced"
        )
    return invalid(
        f"{TOKEN_REFUSED}: this token was rotated and is no longer good, or its last part was "
        "mistyped; get the current one with `swarmd token worker` or `swarmd token manager` "
        "on a manager"
    )


def rotate(
    root_ca: RootCA, *, worker_secret: bytes | None = None, manager_secret: bytes | None = None
) -> RootCA:
    """The same root with new tokens for the roles that were given 16 random bytes.

    Nodes that joined with the old tokens stay: a token is only looked at when a machine joins.
    """
    tokens = root_ca.join_tokens
    if worker_secret is not None:
        tokens = replace(tokens, worker=make_token(root_ca.ca_cert, worker_secret))
    if manager_secret is not None:
        tokens = replace(tokens, manager=make_token(root_ca.ca_cert, manager_secret))
    return replace(root_ca, join_tokens=tokens, ca_cert_hash=root_digest(root_ca.ca_cert))


def _two_parts(parts: list[str]) -> tuple[str, str]:
    if len(parts) < 2:
        if not parts or len(parts[0]) <= DIGEST_DIGITS:
            raise _truncated("its secret is missing")
        raise invalid("the join token lacks the dash between its digest and its secret")
    if len(parts) > 2:
        raise invalid("the join token has more parts than a join token has; copy it again")
    digest, secret = parts
    for name, part, digits in (
        (_DIGEST_PART, digest, DIGEST_DIGITS),
        (_SECRET_PART, secret, SECRET_DIGITS),
    ):
        if not _DIGITS.fullmatch(part):
            raise invalid(
                f"{name} of the join token has characters that don't belong there; "
                "only digits and lower-case letters do"
            )
        if len(part) < digits:
            raise _truncated(f"{name} has {len(part)} characters of {digits}")
        if len(part) > digits:
            raise invalid(
                f"{name} of the join token has {len(part)} characters instead of {digits}; "
                "copy the token again"
            )
    return digest, secret


def _truncated(detail: str) -> Rejection:
    return invalid(f"the join token is truncated: {detail}; copy the whole token")


def _same(candidate: bytes, token: str) -> bool:
    return bool(token) and hmac.compare_digest(candidate, token.encode())
