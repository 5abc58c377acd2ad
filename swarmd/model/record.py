"""The base of all records: frozen, shared, compared by value, named as the Docker API names them.

Fields are snake_case here and PascalCase when encoded, so that one record serves the log, the
snapshot and the JSON that Docker clients read. A duration field ends in `_ns` here and loses the
suffix there, as the Docker API's durations are integer nanoseconds.
"""

from __future__ import annotations

from msgspec import Struct

_WORDS = {
    "apparmor": "AppArmor",
    "id": "ID",
    "ids": "IDs",
    "cpus": "CPUs",
    "ca": "CA",
    "csr": "CSR",
    "cn": "CN",
    "pid": "PID",
    "selinux": "SELinux",
    "tls": "TLS",
    "os": "OS",
    "dns": "DNS",
    "tty": "TTY",
    "url": "URL",
    "ips": "IPs",
    "ipam": "IPAM",
    "ipv6": "IPv6",
    "vxlan": "VXLAN",
    "udp": "UDP",
}


def docker_name(field: str) -> str:
    """The encoded name of a field: `nano_cpus` is `NanoCPUs`, `delay_ns` is `Delay`."""
    return "".join(
        _WORDS.get(word, word.capitalize()) for word in field.removesuffix("_ns").split("_")
    )


class Record(Struct, frozen=True, kw_only=True, omit_defaults=True, rename=docker_name, gc=False):
    """A value. Change it with `msgspec.structs.replace`; never put a mutable thing into one.

    Records are trees without cycles, so the garbage collector does not track them: with tens of
    thousands of tasks that is the difference between no pauses and long ones.
    """
