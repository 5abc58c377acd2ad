"""What of a service's endpoint its tasks are made by."""

from __future__ import annotations

from msgspec.structs import replace

from swarmd.model.spec import EndpointSpec
from swarmd.model.states import Balance

_USUAL = EndpointSpec()


def alike_for_tasks(one: EndpointSpec | None, other: EndpointSpec | None) -> bool:
    """Whether tasks made by either are the same.

    How connections find them is not among what they are made by: it changes beside them.
    """
    return one == other or _of_tasks(one) == _of_tasks(other)


def _of_tasks(spec: EndpointSpec | None) -> EndpointSpec:
    return replace(spec or _USUAL, balance=Balance.ROUND_ROBIN, weight_label="")
