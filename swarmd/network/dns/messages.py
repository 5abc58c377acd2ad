"""DNS messages: what a query asks, and the replies to it. Pure; no byte string makes it raise.

The wire format is dnslib's. What is malformed gets FORMERR if it has at least a header, and no
answer otherwise.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from ipaddress import ip_address

from dnslib import (
    AAAA,
    PTR,
    QTYPE,
    RCODE,
    RR,
    SRV,
    A,
    DNSError,
    DNSRecord,
)
from dnslib.buffer import BufferError as ShortPacket
from dnslib.label import DNSLabelError
from msgspec import Struct

from swarmd.network.core.names import IPV4, Answer, Want

HEADER_BYTES = 12
UDP_BYTES = 512  # what a client without EDNS takes
UDP_BYTES_MAX = 4096  # what we send at most, whatever the client would take
_RESPONSE, _AVAILABLE, _DESIRED, _OPCODE = 0x8000, 0x0080, 0x0100, 0x7800
_INTERNET = 1
# What the library meets a malformed packet with.
RUBBISH = (
    DNSError,
    DNSLabelError,
    ShortPacket,
    struct.error,
    ValueError,
    LookupError,
    TypeError,
)
_WANTS = {"A": Want.IPV4, "AAAA": Want.IPV6, "SRV": Want.SERVICE, "PTR": Want.NAME}


class Query(Struct, frozen=True):
    """One question. `size_max` is what the client takes in a datagram."""

    record: DNSRecord
    name: str
    want: Want
    size_max: int


class Unreadable(Exception):
    """Not a query that could be answered; `reply` says so to the sender, None: say nothing."""

    def __init__(self, reply: bytes | None) -> None:
        super().__init__("not a query")
        self.reply = reply


def parse(data: bytes) -> Query:
    """What a packet asks.

    Raises:
        Unreadable: it is no query, or not one this server understands.
    """
    if len(data) < HEADER_BYTES:
        raise Unreadable(None)
    (flags,) = struct.unpack_from("!H", data, 2)
    if flags & _RESPONSE:
        raise Unreadable(None)  # answering answers would make a loop
    if flags & _OPCODE:
        raise Unreadable(failure(data, RCODE.NOTIMP))
    try:
        record = DNSRecord.parse(data)
        (question,) = record.questions
        name = str(question.qname).rstrip(".")
        kind = QTYPE.get(question.qtype)
        size_max = UDP_BYTES
        for extra in record.ar:
            if extra.rtype == QTYPE.OPT:
                size_max = max(UDP_BYTES, min(extra.rclass, UDP_BYTES_MAX))
    except RUBBISH:
        raise Unreadable(failure(data, RCODE.FORMERR)) from None
    if question.qclass != _INTERNET:
        return Query(record, "", Want.OTHER, size_max)
    return Query(record, name, _WANTS.get(kind, Want.OTHER), size_max)


def reply(query: Query, answer: Answer, order: Sequence[int], *, stream: bool) -> bytes:
    """The answer to a query that is ours to answer.

    Args:
        order: a permutation of the places of what is answered, so that clients which take the
            first spread.
        stream: it goes over TCP, so there is no limit.
    """
    made = query.record.reply(aa=1, ra=1)
    question = query.record.q
    for at in order:
        if answer.places:
            place = answer.places[at]
            made.add_answer(
                RR(
                    question.qname,
                    QTYPE.SRV,
                    rdata=SRV(1, 1, place.port, place.name),
                    ttl=answer.ttl_s,
                )
            )
            for address in place.addresses:
                made.add_ar(_record(place.name, address, answer.ttl_s))
        else:
            made.add_answer(_record(question.qname, answer.addresses[at], answer.ttl_s))
    if answer.name:
        made.add_answer(RR(question.qname, QTYPE.PTR, rdata=PTR(answer.name), ttl=answer.ttl_s))
    packed: bytes = made.pack()
    if stream or len(packed) <= query.size_max:
        return packed
    # As much as fits would do for most, but the client asks again by TCP and gets all.
    short = query.record.reply(aa=1, ra=1)
    short.header.tc = 1
    cut: bytes = short.pack()
    return cut


def count(answer: Answer) -> int:
    """How many entries `order` has to name."""
    return len(answer.places) or len(answer.addresses)


def failure(query: bytes, code: int) -> bytes:
    """A reply without an answer, made from the query's first bytes alone."""
    number, flags = struct.unpack_from("!HH", query)
    said = _RESPONSE | _AVAILABLE | (flags & _DESIRED) | code
    return struct.pack("!HHHHHH", number, said, 0, 0, 0, 0)


def refuse(query: Query, code: int) -> bytes:
    """A reply that repeats the question and has no answer."""
    made = query.record.reply(ra=1, aa=0)
    made.header.rcode = code
    packed: bytes = made.pack()
    return packed


def answers_to(query: bytes, response: bytes) -> bool:
    """Whether a response from elsewhere is one to this query, by its question."""
    if len(response) < HEADER_BYTES or not response[2] & 0x80:
        return False
    try:
        ours, theirs = DNSRecord.parse(query).q, DNSRecord.parse(response).q
    except RUBBISH:
        return False
    return bool(ours.qtype == theirs.qtype and ours.qname == theirs.qname)


def _record(name: object, address: str, ttl_s: int) -> RR:
    if ip_address(address).version == IPV4:
        return RR(name, QTYPE.A, rdata=A(address), ttl=ttl_s)
    return RR(name, QTYPE.AAAA, rdata=AAAA(address), ttl=ttl_s)
