"""Cutting a delta into portions that fit a message.

The first portion keeps the character of the whole (complete, or building on the old version); the
others build on the version it results in. The table between two portions is not to be acted upon.
"""

from __future__ import annotations

from typing import TypeAlias

from msgspec.structs import replace

from swarmd.lb.core.tables import Backend, BackendChange, Delta, ServiceEndpoints

# A backend takes about 100 bytes on the wire, a message at most 4 MiB.
BACKENDS_MAX = 10_000

_Piece: TypeAlias = ServiceEndpoints | BackendChange


def portions(delta: Delta, backends_max: int = BACKENDS_MAX) -> tuple[Delta, ...]:
    """Deltas that together are `delta`, each with at most about `backends_max` backends."""
    if delta.rows <= backends_max:
        return (delta,)
    first = Delta(
        complete=delta.complete,
        applies_to=delta.applies_to,
        results_in=delta.results_in,
        removed=delta.removed,
    )
    following = Delta(complete=False, applies_to=delta.results_in, results_in=delta.results_in)
    pieces: list[_Piece] = []
    for row in delta.services:
        head, *rest = _cut(row.backends, backends_max)
        pieces.append(replace(row, backends=head))
        pieces.extend(BackendChange(row.service_id, some) for some in rest)
    for change in delta.changes:
        head, *rest = _cut(change.backends, backends_max)
        pieces.append(replace(change, backends=head))
        pieces.extend(BackendChange(change.service_id, some) for some in rest)
    return (first, *(_following(following, run) for run in _runs(pieces, backends_max)))


def _runs(pieces: list[_Piece], backends_max: int) -> list[list[_Piece]]:
    """Neighbouring pieces put together as long as they fit one message."""
    runs: list[list[_Piece]] = []
    room = 0
    for piece in pieces:
        size = _piece_size(piece)
        # A receiver takes the services of a message before its changes; pieces keep that order.
        after_change = bool(runs) and isinstance(runs[-1][-1], BackendChange)
        if size > room or (after_change and isinstance(piece, ServiceEndpoints)):
            runs.append([])
            room = backends_max
        runs[-1].append(piece)
        room -= size
    return runs


def _following(base: Delta, run: list[_Piece]) -> Delta:
    return replace(
        base,
        services=tuple(piece for piece in run if isinstance(piece, ServiceEndpoints)),
        changes=tuple(piece for piece in run if isinstance(piece, BackendChange)),
    )


def _cut(backends: tuple[Backend, ...], length: int) -> list[tuple[Backend, ...]]:
    return [backends[at : at + length] for at in range(0, len(backends), length)] or [()]


def _piece_size(piece: _Piece) -> int:
    """Backends, with the service itself and every removal counted like one."""
    gone = len(piece.removed) if isinstance(piece, BackendChange) else 0
    return 1 + len(piece.backends) + gone
