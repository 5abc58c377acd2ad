"""Join tokens: their form, their defects, and what they grant."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmd.ca.core.tokens import (
    TOKEN_REFUSED,
    JoinToken,
    explain_refusal,
    make_token,
    match_role,
    parse_token,
    root_digest,
    rotate,
)
from swarmd.model.cluster import JoinTokens, RootCA
from swarmd.model.errors import Code, Rejection
from swarmd.model.states import Role

ROOT = b"-----BEGIN CERTIFICATE-----\nroot\n-----END CERTIFICATE-----\n"
SECRETS = st.binary(min_size=16, max_size=16)
TOKEN = make_token(ROOT, bytes(range(16)))
DIGEST, SECRET = TOKEN.split("-")[2:]


def a_root(worker: bytes = b"w" * 16, manager: bytes = b"m" * 16, root: bytes = ROOT) -> RootCA:
    return rotate(RootCA(ca_cert=root), worker_secret=worker, manager_secret=manager)


@given(st.binary(max_size=200), SECRETS)
def test_every_token_made_is_read_back_and_pins_its_root_only(root: bytes, secret: bytes) -> None:
    text = make_token(root, secret)
    token = parse_token(text)
    assert len(text) == len("SWMTKN-1-") + 50 + 1 + 25
    assert token.pins(root)
    assert not token.pins(root + b"\n")
    assert int(token.secret, 36) == int.from_bytes(secret, "big")
    assert int(token.digest, 36) == int.from_bytes(hashlib.sha256(root).digest(), "big")


def test_small_secrets_and_digests_are_padded_with_zeros() -> None:
    assert make_token(ROOT, bytes(16)).endswith("-" + "0" * 25)
    assert make_token(ROOT, bytes(15) + b"\x01").endswith("-" + "0" * 24 + "1")


def test_blanks_around_a_token_are_forgiven() -> None:
    assert parse_token(f"  {TOKEN}\n") == parse_token(TOKEN)


@pytest.mark.parametrize(("flag", "needs_fips"), [("0", False), ("1", True)])
def test_version_two_carries_a_fips_flag(flag: str, needs_fips: bool) -> None:
    assert parse_token(f"SWMTKN-2-{flag}-{DIGEST}-{SECRET}") == JoinToken(
        DIGEST, SECRET, needs_fips
    )


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        pytest.param("", "empty", id="empty"),
        pytest.param("   ", "empty", id="blank"),
        pytest.param("hello", "does not begin with SWMTKN-", id="something else"),
        pytest.param(f"SWMKEY-1-{SECRET}", "does not begin with SWMTKN-", id="unlock key"),
        pytest.param(f"swmtkn-1-{DIGEST}-{SECRET}", "does not begin", id="lower case"),
        pytest.param("SWMTKN", "truncated: only its prefix", id="prefix"),
        pytest.param("SWMTKN-", "truncated: only its prefix", id="prefix and dash"),
        pytest.param("SWMTKN-1", "truncated: its secret is missing", id="version"),
        pytest.param(f"SWMTKN-1-{DIGEST[:20]}", "truncated: its secret", id="half a digest"),
        pytest.param(f"SWMTKN-1-{DIGEST}", "truncated: its secret", id="no secret"),
        pytest.param(f"SWMTKN-1-{DIGEST}-", "secret has 0 characters of 25", id="empty secret"),
        pytest.param(TOKEN[:-1], "secret has 24 characters of 25", id="last character lost"),
        pytest.param(TOKEN + "0", "26 characters instead of 25", id="one too many"),
        pytest.param(TOKEN + "-1", "more parts", id="one part too many"),
        pytest.param(f"SWMTKN-1-{DIGEST}0-{SECRET}", "51 characters", id="long digest"),
        pytest.param(f"SWMTKN-1-{DIGEST}{SECRET}", "lacks the dash", id="dash lost"),
        pytest.param(f"SWMTKN-1-{DIGEST.upper()}-{SECRET}", "characters that", id="upper case"),
        pytest.param(f"SWMTKN-1-{DIGEST}-{SECRET[:-1]}é", "characters that", id="not ascii"),
        pytest.param(f"SWMTKN-1-{DIGEST}-{SECRET[:9]} {SECRET[10:]}", "characters", id="blank in"),
        pytest.param(f"SWMTKN-3-{DIGEST}-{SECRET}", "version '3'", id="future version"),
        pytest.param(f"SWMTKN-ü-{DIGEST}-{SECRET}", "version of the join token", id="odd version"),
        pytest.param("SWMTKN-2", "FIPS flag is missing", id="no flag"),
        pytest.param(f"SWMTKN-2-x-{DIGEST}-{SECRET}", "must be 0 or 1", id="odd flag"),
    ],
)
def test_a_defective_token_is_refused_with_what_is_wrong(text: str, sentence: str) -> None:
    with pytest.raises(Rejection) as caught:
        parse_token(text)
    assert caught.value.code is Code.INVALID_ARGUMENT
    assert sentence in caught.value.message


@given(st.text(st.sampled_from("SWMTKN-12abz059 é\n"), max_size=120))
def test_text_that_is_no_token_is_refused_politely(text: str) -> None:
    with pytest.raises(Rejection) as caught:
        parse_token(text)
    assert caught.value.code is Code.INVALID_ARGUMENT


@given(st.integers(1, len(TOKEN) - 1), st.sampled_from("Aé -_"))
def test_a_defective_token_is_never_repeated_in_the_refusal(position: int, odd: str) -> None:
    with pytest.raises(Rejection) as caught:
        parse_token(TOKEN[:position] + odd + TOKEN[position:])
    assert SECRET[:8] not in caught.value.message
    assert SECRET[-8:] not in caught.value.message


@given(st.integers(0, len(TOKEN) - 1))
def test_every_truncation_of_a_token_is_called_truncated(length: int) -> None:
    text = TOKEN[:length]
    with pytest.raises(Rejection) as caught:
        parse_token(text)
    if text.startswith("SWMTKN"):
        assert "truncated" in caught.value.message


def test_the_matching_secret_decides_the_role() -> None:
    tokens = a_root().join_tokens
    assert match_role(tokens.worker, tokens) is Role.WORKER
    assert match_role(tokens.manager + " ", tokens) is Role.MANAGER
    assert match_role(TOKEN, tokens) is None


@pytest.mark.parametrize("text", ["", "SWMTKN", "é"])
def test_empty_tokens_never_match(text: str) -> None:
    assert match_role(text, JoinTokens()) is None


def test_rotation_replaces_the_token_of_one_role() -> None:
    before = a_root()
    after = rotate(before, worker_secret=b"x" * 16)
    assert after.join_tokens.manager == before.join_tokens.manager
    assert match_role(before.join_tokens.worker, after.join_tokens) is None
    assert match_role(after.join_tokens.worker, after.join_tokens) is Role.WORKER
    assert after.ca_cert_hash == root_digest(ROOT)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        pytest.param(a_root(worker=b"o" * 16).join_tokens.worker, "was rotated", id="rotated"),
        pytest.param(a_root(root=b"other").join_tokens.worker, "another cluster", id="foreign"),
        pytest.param(TOKEN[:-3], "truncated", id="truncated"),
        pytest.param("", "empty", id="none"),
    ],
)
def test_a_refused_token_is_explained(text: str, sentence: str) -> None:
    refusal = explain_refusal(text, a_root())
    assert refusal.code is Code.INVALID_ARGUMENT
    assert refusal.message.startswith(TOKEN_REFUSED)
    assert sentence in refusal.message


def test_tokens_and_their_secrets_do_not_show_in_representations() -> None:
    assert SECRET not in repr(parse_token(TOKEN))
    assert a_root().join_tokens.worker not in repr(a_root())
