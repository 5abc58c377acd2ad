"""Header lists of requests and answers, and metadata."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmd.model.errors import Code
from swarmd.rpc.answers import http_only, trailers, trailers_only
from swarmd.rpc.h2.hpack_decoder import BlockCache, Fields, HeaderDecoder
from swarmd.rpc.metadata import Metadata, metadata_of
from swarmd.rpc.request_head import Malformed, Unsupported, parse_request_head
from swarmd.rpc.response_head import parse_response

BASE: tuple[tuple[bytes, bytes], ...] = (
    (b":method", b"POST"),
    (b":scheme", b"https"),
    (b":path", b"/a.B/C"),
    (b":authority", b"swarm-manager"),
    (b"te", b"trailers"),
    (b"content-type", b"application/grpc+proto"),
)


def fields_of(block: bytes) -> Fields:
    return HeaderDecoder(list_bytes_max=16_384, cache=BlockCache()).decode(block)


def test_a_request_says_path_timeout_and_metadata() -> None:
    head = parse_request_head((*BASE, (b"grpc-timeout", b"5S"), (b"x-a", b"1"), (b"x-a", b"2")))
    assert head.path == "/a.B/C"
    assert head.timeout_ns == 5_000_000_000
    assert list(head.metadata) == [("x-a", "1"), ("x-a", "2")]


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param(BASE[1:], id="no method"),
        pytest.param((*BASE[:2], *BASE[3:]), id="no path"),
        pytest.param((BASE[2], *BASE), id="two paths"),
        pytest.param((*BASE, (b":path", b"/x")), id="pseudo header late"),
        pytest.param(((b":odd", b"x"), *BASE), id="unknown pseudo header"),
        pytest.param((*BASE, (b"X-Upper", b"x")), id="upper case"),
        pytest.param((*BASE, (b"grpc-timeout", b"soon")), id="bad timeout"),
    ],
)
def test_a_malformed_request_is_no_request(fields: Fields) -> None:
    with pytest.raises(Malformed):
        parse_request_head(fields)


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        pytest.param(((b":method", b"GET"), *BASE[1:]), 405, id="GET"),
        pytest.param(BASE[:-1], 415, id="no content type"),
        pytest.param((*BASE[:-1], (b"content-type", b"text/html")), 415, id="HTML"),
        pytest.param((*BASE, (b"grpc-encoding", b"gzip")), 415, id="compressed"),
    ],
)
def test_a_request_that_is_not_grpc_gets_an_http_status(fields: Fields, status: int) -> None:
    with pytest.raises(Unsupported) as caught:
        parse_request_head(fields)
    assert caught.value.status == status


@given(message=st.text(max_size=300), code=st.sampled_from(Code))
def test_a_status_arrives_with_its_sentence_and_trailers(message: str, code: Code) -> None:
    extra = [("swarmd-leader", "192.0.2.1:2377")]
    for block in (trailers(code, message, extra), trailers_only(code, message, extra)):
        error = parse_response(fields_of(block)).as_error()
        assert (error.code, error.message) == (code, message)
        assert error.trailers.get("swarmd-leader") == "192.0.2.1:2377"


def test_success_is_code_zero() -> None:
    assert parse_response(fields_of(trailers(0, "", ()))).code == 0
    assert parse_response(fields_of(trailers(0, "", [("x-a", "1")]))).trailers.get("x-a") == "1"


@pytest.mark.parametrize(
    ("status", "code"), [(503, Code.UNAVAILABLE), (404, Code.UNIMPLEMENTED), (418, Code.UNKNOWN)]
)
def test_an_answer_that_is_not_grpc_is_an_error(status: int, code: Code) -> None:
    error = parse_response(fields_of(http_only(status))).as_error()
    assert error.code == code
    assert str(status) in error.message


@pytest.mark.parametrize(("number", "code"), [(1, Code.ABORTED), (15, Code.INTERNAL), (99, 2)])
def test_statuses_we_have_no_name_for_are_mapped(number: int, code: Code) -> None:
    assert parse_response(((b"grpc-status", b"%d" % number),)).as_error().code == code


def test_a_long_message_is_cut_to_fit_a_header_list() -> None:
    error = parse_response(fields_of(trailers_only(2, "ü" * 5_000, ()))).as_error()
    assert error.message == "ü" * len(error.message)
    assert 500 <= len(error.message) <= 4_096 // 6


def test_metadata_is_an_ordered_multimap() -> None:
    metadata = metadata_of([("a", "1"), ("b", "2"), ("a", "3")])
    assert metadata.get("a") == "1"
    assert metadata.all("a") == ["1", "3"]
    assert metadata.get("c") is None
    assert "b" in metadata
    assert metadata_of(metadata) is metadata
    assert metadata == Metadata.of(("a", "1"), ("b", "2"), ("a", "3"))


def test_binary_metadata_is_base64() -> None:
    metadata = Metadata([(b"x-bin", b"AAE"), (b"y-bin", b"?")])
    assert metadata.get_bytes("x-bin") == b"\x00\x01"
    assert metadata.get_bytes("y-bin") is None
    assert metadata.get_bytes("z-bin") is None


@pytest.mark.parametrize("pair", [("A", "1"), (":a", "1"), ("", "1"), ("a", "x\ny")])
def test_metadata_that_cannot_travel_is_a_bug_of_the_caller(pair: tuple[str, str]) -> None:
    with pytest.raises(AssertionError):
        Metadata.of(pair)


def test_metadata_does_not_show_its_values() -> None:
    assert "secret" not in repr(Metadata.of(("token", "secret")))
