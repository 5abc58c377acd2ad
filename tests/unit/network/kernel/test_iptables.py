"""What the legacy tables are given."""

from __future__ import annotations

from swarmd.network.kernel.iptables import batch

HOOKS = {"raw": ("PREROUTING",), "nat": ("OUTPUT",)}


def test_chains_are_filled_and_led_to_where_nothing_leads_there_yet() -> None:
    listed = ["nat: -A OUTPUT -j OURS-OUTPUT", "raw: -A OUTPUT -j OTHERS"]
    assert batch("OURS", HOOKS, {("nat", "OUTPUT"): ("-p tcp -j ACCEPT",)}, listed) == (
        "*raw\n"
        ":OURS-PREROUTING -\n"
        "-A PREROUTING -j OURS-PREROUTING\n"
        "COMMIT\n"
        "*nat\n"
        ":OURS-OUTPUT -\n"
        "-A OURS-OUTPUT -p tcp -j ACCEPT\n"
        "COMMIT\n"
    )
