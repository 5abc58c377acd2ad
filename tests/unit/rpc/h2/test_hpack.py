"""Our header compression against the `hpack` package, which serves as the reference."""

from __future__ import annotations

import hpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmd.rpc.h2.errors import ConnectionViolation, ErrorCode
from swarmd.rpc.h2.hpack_decoder import BlockCache, HeaderDecoder
from swarmd.rpc.h2.hpack_encoder import encode

NAMES = st.one_of(
    st.sampled_from([b":path", b":method", b"te", b"content-type", b"grpc-timeout", b"user-agent"]),
    st.binary(min_size=1, max_size=40),
)
FIELDS = st.lists(st.tuples(NAMES, st.binary(max_size=200)), max_size=12)


def decoder(list_bytes_max: int = 16_384, cache: BlockCache | None = None) -> HeaderDecoder:
    return HeaderDecoder(list_bytes_max=list_bytes_max, cache=cache or BlockCache())


@given(lists=st.lists(FIELDS, max_size=8), huffman=st.booleans())
def test_blocks_of_a_stateful_encoder_are_understood_in_sequence(
    lists: list[list[tuple[bytes, bytes]]], huffman: bool
) -> None:
    encoder = hpack.Encoder()
    ours = decoder()
    for fields in lists:
        assert list(ours.decode(encoder.encode(fields, huffman=huffman))) == fields


@given(
    sizes=st.lists(st.integers(0, 4096), min_size=1, max_size=5),
    fields=FIELDS,
)
def test_the_table_follows_size_updates(
    sizes: list[int], fields: list[tuple[bytes, bytes]]
) -> None:
    encoder = hpack.Encoder()
    ours = decoder()
    for size in sizes:
        encoder.header_table_size = size
        assert list(ours.decode(encoder.encode(fields))) == fields


@given(fields=FIELDS)
def test_what_we_encode_is_what_others_decode(fields: list[tuple[bytes, bytes]]) -> None:
    decoded = hpack.Decoder(max_header_list_size=1 << 20).decode(encode(fields), raw=True)
    assert [(bytes(name), bytes(value)) for name, value in decoded] == fields


@given(block=st.binary(max_size=300))
def test_any_bytes_are_decoded_as_the_reference_does_or_refused(block: bytes) -> None:
    reference = hpack.Decoder(max_header_list_size=1 << 20)
    reference.max_allowed_table_size = 4096
    try:
        expected = [(bytes(n), bytes(v)) for n, v in reference.decode(block, raw=True)]
    except (hpack.HPACKError, IndexError):
        expected = None
    try:
        ours = list(decoder(1 << 20).decode(block))
    except ConnectionViolation:
        return
    assert ours == expected


def test_a_block_without_context_is_remembered_for_other_connections() -> None:
    cache = BlockCache()
    block = encode([(b":method", b"POST"), (b":path", b"/a.B/C"), (b"x-note", b"1")])
    first = decoder(cache=cache).decode(block)
    assert decoder(cache=cache).decode(block) is first


def test_a_block_that_uses_the_dynamic_table_is_not_remembered() -> None:
    cache = BlockCache()
    encoder = hpack.Encoder()
    one = decoder(cache=cache)
    one.decode(encoder.encode([(b"a", b"1")]))
    indexed = encoder.encode([(b"a", b"1")])
    assert one.decode(indexed) == ((b"a", b"1"),)
    # On a connection with another history the same bytes mean something else.
    other_encoder = hpack.Encoder()
    other = decoder(cache=cache)
    other.decode(other_encoder.encode([(b"b", b"2")]))
    assert other.decode(indexed) == ((b"b", b"2"),)


def test_the_cache_of_blocks_is_bounded() -> None:
    cache = BlockCache()
    ours = decoder(cache=cache)
    for number in range(5_000):
        ours.decode(encode([(b"x", b"%d" % number)]))
    assert len(cache.blocks) <= 1024


@pytest.mark.parametrize(
    ("block", "code"),
    [
        pytest.param(b"\x80", ErrorCode.COMPRESSION_ERROR, id="index zero"),
        pytest.param(b"\xff\x80\x01", ErrorCode.COMPRESSION_ERROR, id="index beyond the tables"),
        pytest.param(b"\x40", ErrorCode.COMPRESSION_ERROR, id="literal without a name"),
        pytest.param(b"\x40\x05ab", ErrorCode.COMPRESSION_ERROR, id="string cut short"),
        pytest.param(b"\x40\x01a\x82\xff\xff", ErrorCode.COMPRESSION_ERROR, id="bad Huffman"),
        pytest.param(b"\xff" * 12, ErrorCode.COMPRESSION_ERROR, id="endless integer"),
        pytest.param(b"\x3f\xe2\x1f", ErrorCode.COMPRESSION_ERROR, id="table too large"),
        pytest.param(b"\x82\x20", ErrorCode.COMPRESSION_ERROR, id="late table size"),
        pytest.param(b"\x82" * 400, ErrorCode.ENHANCE_YOUR_CALM, id="list too large"),
    ],
)
def test_broken_blocks_end_the_connection(block: bytes, code: ErrorCode) -> None:
    with pytest.raises(ConnectionViolation) as caught:
        decoder().decode(block)
    assert caught.value.code == code
