"""Rolling updates of both orders under load by mesh and virtual address: no request is lost."""

from __future__ import annotations

import pytest

from demo.machines import namespaces_available
from swarmd.network.kernel import nft
from tests.bench.network import loads
from tests.bench.network.ground import ground
from tests.bench.network.updates import run_all

UPDATES = 5  # of each order, or as many as begin within
WITHIN_S = 25.0

_LACKING = namespaces_available() or nft.missing() or loads.missing()
pytestmark = [pytest.mark.root, pytest.mark.skipif(bool(_LACKING), reason=_LACKING or "-")]


def test_no_request_is_lost_while_services_are_updated() -> None:
    with ground() as made:
        runs = run_all(
            made, ("start-first", "stop-first"), UPDATES, is_late=False, within_s=WITHIN_S
        )
    for run in runs:
        assert run.took_s, run.order
        for name, outcome in run.outcomes.items():
            assert outcome.requests, (run.order, name)
            assert not outcome.failures, (run.order, name)
