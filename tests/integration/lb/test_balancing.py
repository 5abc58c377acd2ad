"""Every back end balances alike, or says what it lacks."""

from __future__ import annotations

import pytest

from tests.support.balanced import IPVS, NFT, PROXY, parameters
from tests.support.balancing_contract import BackEnd, BalancingContract


class TestBalancing(BalancingContract):
    @pytest.fixture(params=parameters(NFT, IPVS, PROXY))
    def back_end(self, request: pytest.FixtureRequest) -> BackEnd:
        chosen: BackEnd = request.param
        return chosen
