"""The kernel's tables of sockets, read as they are written by Linux."""

from __future__ import annotations

from swarmd.agent.core.sockets import Connection, Sockets, ipv6_addresses, parse

HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid\n"
TAIL = " 00000000:00000000 00:00000000 00000000     0        0 1 1 0 100 0 0 10 0\n"
IPV4 = HEAD + "".join(
    f"   {number}: {row}{TAIL}"
    for number, row in enumerate(
        [
            "00000000:0050 00000000:0000 0A",
            "0401000A:0050 0900A8C0:D431 01",
            "0100007F:0050 0100007F:D432 01",
            "0401000A:0050 0900A8C0:D433 06",
            "0401000A:A000 0900A8C0:0CEA 01",
        ]
    )
)
IPV6 = HEAD + "".join(
    f"   {number}: {row}{TAIL}"
    for number, row in enumerate(
        [
            f"{'0' * 32}:1F90 {'0' * 32}:0000 0A",
            f"{'0' * 24}01000000:1F90 {'0' * 24}01000000:D431 01",
            f"{'0' * 16}FFFF00000401000A:1F90 {'0' * 16}FFFF00000900A8C0:D431 01",
            f"{'0' * 16}FFFF00000100007F:1F90 {'0' * 16}FFFF00000100007F:D431 01",
        ]
    )
)


def test_listeners_and_established_connections_are_read_from_both_families() -> None:
    assert parse(IPV4, IPV6) == Sockets(
        listening=frozenset({80, 8080}),
        connections=(
            Connection(80, internal=False),
            Connection(80, internal=True),
            Connection(0xA000, internal=False),
            Connection(8080, internal=True),
            Connection(8080, internal=False),
            Connection(8080, internal=True),
        ),
        ipv6=frozenset({8080}),
    )


def test_only_sockets_that_others_reach_by_ipv6_answer_over_it() -> None:
    none = f"{'0' * 32}:0000"
    rows = [
        f"{'0' * 32}:0050 {none} {{state}}",
        f"0DB80120{'0' * 16}01000000:0051 {none} {{state}}",
        f"{'0' * 24}01000000:0052 {none} {{state}}",
        f"{'0' * 16}FFFF00000401000A:0053 {none} {{state}}",
    ]

    def table(state: str) -> str:
        lines = (f"   {n}: {row.format(state=state)}{TAIL}" for n, row in enumerate(rows))
        return HEAD + "".join(lines)

    found = parse(table("0A"), datagrams=[table("07")])
    assert found.listening == {0x50, 0x51, 0x52, 0x53}
    assert found.ipv6 == found.ipv6_datagrams == {0x50, 0x51}


def test_ports_that_take_datagrams_from_elsewhere_are_read() -> None:
    rows = [
        "00000000:0035 00000000:0000 07",
        "0B00007F:8235 00000000:0000 07",
        "0401000A:A000 0900A8C0:0035 01",
    ]
    table = HEAD + "".join(f"   {number}: {row}{TAIL}" for number, row in enumerate(rows))
    assert parse(datagrams=[table]).datagrams == {53}


def test_lines_that_are_no_rows_say_nothing() -> None:
    assert parse("", HEAD, HEAD + "\n  0: torn\n") == Sockets()


def test_addresses_of_ipv6_are_read() -> None:
    table = (
        "00000000000000000000000000000001 01 80 10 80       lo\n"
        "fdc57761726d0001000000000aff0009 04 70 00 80     eth0\n"
    )
    assert ipv6_addresses(table) == {"::1", "fdc5:7761:726d:1::aff:9"}
    assert ipv6_addresses("") == frozenset()
