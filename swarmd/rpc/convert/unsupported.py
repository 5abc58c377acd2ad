"""Naming what a client asked for and this version can't do.

A spec may hold fields that no record has: mounts, secrets, jobs, or what a newer client knows.
Dropping them silently would run something else than was asked, so requests are looked through
first, and whatever is set and not covered by the conversion tables is named.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.unknown_fields import UnknownFieldSet

from swarmd.model.errors import Rejection, invalid
from swarmd.rpc.convert.table import Covered, Mapping


def unsupported_fields(mapping: Mapping[Any, Any], message: Any) -> tuple[str, ...]:
    """Dotted names of the fields of `message` that are set and that `mapping` can't hold.

    An empty submessage asks for nothing and isn't named, unless it is a choice of a oneof.
    """
    return tuple(_walk(mapping.covered(), message, ""))


def unsupported(mapping: Mapping[Any, Any], message: Any) -> Rejection | None:
    """The refusal of a message that asks for more than `mapping` can hold, as one sentence."""
    names = unsupported_fields(mapping, message)
    if not names:
        return None
    return invalid(
        f"{message.DESCRIPTOR.name} asks for {', '.join(names)}, "
        "which this version of swarmd doesn't support; leave it out"
    )


def _walk(covered: Covered, message: Any, prefix: str) -> Iterator[str]:
    for field, value in message.ListFields():
        name = prefix + field.name
        if field.name in covered.whole:
            continue
        inner = covered.parts.get(field.name)
        if inner is None:
            if _asks(field, value):
                yield name
        elif field.is_repeated:
            for position, item in enumerate(value):
                yield from _walk(inner, item, f"{name}[{position}].")
        else:
            yield from _walk(inner, value, f"{name}.")
    unknown = UnknownFieldSet(message)
    for position in range(len(unknown)):
        yield f"{prefix}field {unknown[position].field_number}"


def _asks(field: FieldDescriptor, value: Any) -> bool:
    """Whether a field that is present asks for something."""
    if field.message_type is None or field.is_repeated or field.containing_oneof is not None:
        return True
    if len(UnknownFieldSet(value)) or field.message_type.full_name.startswith("google.protobuf."):
        return True
    return any(_asks(inner, part) for inner, part in value.ListFields())
