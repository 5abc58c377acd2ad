"""Rejections: what the caller did wrong, with a code that gRPC and HTTP can both map.

Transient failures and bugs are other types; a `Rejection` is an answer, not an accident.
"""

from __future__ import annotations

from enum import IntEnum


class Code(IntEnum):
    """Status codes; the numbers are gRPC's."""

    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    OUT_OF_RANGE = 11
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    UNAUTHENTICATED = 16


class Rejection(Exception):
    """A request that is refused; `message` is one sentence: who, what, which limit, what to do."""

    def __init__(self, code: Code, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message

    def __repr__(self) -> str:
        return f"Rejection({self.code.name}, {self.message!r})"

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Rejection)
            and other.code == self.code
            and other.message == self.message
        )

    def __hash__(self) -> int:
        return hash((self.code, self.message))


def invalid(message: str) -> Rejection:
    return Rejection(Code.INVALID_ARGUMENT, message)


def not_found(kind: str, identifier: str) -> Rejection:
    return Rejection(Code.NOT_FOUND, f"{kind} {identifier} not found")


def failed_precondition(message: str) -> Rejection:
    return Rejection(Code.FAILED_PRECONDITION, message)


def out_of_sequence() -> Rejection:
    """A write based on an old version; clients match this text, hence the code UNKNOWN."""
    return Rejection(Code.UNKNOWN, "update out of sequence")
