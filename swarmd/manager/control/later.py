"""Kinds of object that are not part of this version: every call says so by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn

from swarmd.manager.control.core import unimplemented
from swarmd.rpc.call import Call


def _refuses(what: str) -> Callable[[object, Call, object], NoReturn]:
    def refuse(self: object, call: Call, request: object) -> NoReturn:
        raise unimplemented(what)

    return refuse


class LaterCalls:
    GetVolume = ListVolumes = CreateVolume = UpdateVolume = RemoveVolume = _refuses(
        "cluster volumes"
    )
