"""Queries in, replies out, whatever the bytes."""

from __future__ import annotations

import pytest
from dnslib import EDNS0, RCODE, DNSRecord
from hypothesis import given
from hypothesis import strategies as st

from swarmd.network.core.names import Answer, Place, Want
from swarmd.network.dns import messages


def ask(name: str, kind: str = "A", *, size: int = 0) -> messages.Query:
    question = DNSRecord.question(name, kind)
    if size:
        question.add_ar(EDNS0(udp_len=size))
    return messages.parse(question.pack())


@pytest.mark.parametrize(
    ("kind", "want"),
    [
        ("A", Want.IPV4),
        ("AAAA", Want.IPV6),
        ("SRV", Want.SERVICE),
        ("PTR", Want.NAME),
        ("MX", Want.OTHER),
    ],
)
def test_a_query_tells_name_and_kind(kind: str, want: Want) -> None:
    query = ask("Web.Front.", kind)
    assert (query.name.lower(), query.want, query.size_max) == ("web.front", want, 512)


def test_addresses_go_out_in_the_order_given() -> None:
    answer = Answer(("10.0.0.1", "10.0.0.2", "fd00::1"), ttl_s=7)
    reply = DNSRecord.parse(messages.reply(ask("web"), answer, (2, 0, 1), stream=False))
    assert [(str(row.rdata), row.ttl) for row in reply.rr] == [
        ("fd00::1", 7),
        ("10.0.0.1", 7),
        ("10.0.0.2", 7),
    ]
    assert (reply.header.aa, reply.header.rcode) == (1, RCODE.NOERROR)


def test_a_known_name_without_answers_is_no_error() -> None:
    reply = DNSRecord.parse(messages.reply(ask("web", "AAAA"), Answer(), (), stream=False))
    assert (reply.header.rcode, reply.rr) == (RCODE.NOERROR, [])


def test_places_carry_the_addresses_of_their_names() -> None:
    answer = Answer(places=(Place("web.1.net", 80, ("10.0.0.1",)),))
    reply = DNSRecord.parse(
        messages.reply(ask("_http._tcp.web", "SRV"), answer, (0,), stream=False)
    )
    assert str(reply.rr[0].rdata) == "1 1 80 web.1.net."
    assert [(str(row.rname), str(row.rdata)) for row in reply.ar] == [("web.1.net.", "10.0.0.1")]


def test_what_does_not_fit_a_datagram_is_asked_again_by_tcp() -> None:
    answer = Answer(tuple(f"10.0.0.{n}" for n in range(100)))
    order = tuple(range(100))
    short = DNSRecord.parse(messages.reply(ask("web"), answer, order, stream=False))
    assert (short.header.tc, short.rr) == (1, [])
    for whole in (
        messages.reply(ask("web"), answer, order, stream=True),
        messages.reply(ask("web", size=4096), answer, order, stream=False),
    ):
        assert len(DNSRecord.parse(whole).rr) == 100


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", None),
        (b"\x00\x01\x80\x00" + bytes(8), None),  # an answer
        (b"\x00\x01\x28\x00" + bytes(8), RCODE.NOTIMP),
        (b"\x00\x01\x01\x00" + bytes(8), RCODE.FORMERR),  # no question
        (b"\x00\x01\x01\x00\x00\x01" + bytes(6) + b"\xc0\x0c\x00\x01\x00\x01", RCODE.FORMERR),
        (b"\x00\x01\x01\x00\x00\x01" + bytes(6) + b"\x05ab", RCODE.FORMERR),
    ],
)
def test_what_is_no_query_is_told_so_or_left_alone(data: bytes, code: int | None) -> None:
    with pytest.raises(messages.Unreadable) as raised:
        messages.parse(data)
    reply = raised.value.reply
    assert (reply and DNSRecord.parse(reply).header.rcode) == code
    assert reply is None or reply[:2] == data[:2]


_KINDS = st.sampled_from(["A", "AAAA", "SRV", "PTR", "ANY", "TXT"])


@given(data=st.binary(max_size=64))
def test_no_bytes_make_it_raise(data: bytes) -> None:
    _survives(data)


@given(kind=_KINDS, at=st.integers(0, 60), value=st.integers(0, 255), cut=st.integers(0, 60))
def test_no_damage_to_a_query_makes_it_raise(kind: str, at: int, value: int, cut: int) -> None:
    data = bytearray(DNSRecord.question("tasks.web.front-net", kind).pack())
    data[at % len(data)] = value
    _survives(bytes(data[: len(data) - cut % len(data)]))


def _survives(data: bytes) -> None:
    try:
        query = messages.parse(data)
    except messages.Unreadable:
        return
    messages.reply(query, Answer(("10.0.0.1",)), (0,), stream=False)
    messages.refuse(query, RCODE.NXDOMAIN)


def test_only_the_answer_to_the_question_counts() -> None:
    question = DNSRecord.question("example.org", "A")
    right, wrong = question.reply(), DNSRecord.question("example.com", "A").reply()
    assert messages.answers_to(question.pack(), right.pack())
    assert not messages.answers_to(question.pack(), wrong.pack())
    assert not messages.answers_to(question.pack(), question.pack())
    assert not messages.answers_to(question.pack(), b"\0\0\x80")
