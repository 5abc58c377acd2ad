"""IPVS balances as all back ends do; where this kernel has none, `make test-ipvs` has one."""

from __future__ import annotations

import pytest

from tests.support.balanced import IPVS, parameters
from tests.support.balancing_contract import BackEnd, BalancingContract


class TestBalancing(BalancingContract):
    @pytest.fixture(params=parameters(IPVS))
    def back_end(self, request: pytest.FixtureRequest) -> BackEnd:
        chosen: BackEnd = request.param
        return chosen
