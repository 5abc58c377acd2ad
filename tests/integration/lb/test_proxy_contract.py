"""The userspace proxy does what every balancing back end must do."""

from __future__ import annotations

import random

from swarmd.lb.kernel import Balancer
from swarmd.lb.proxy import Place, ProxyBalancer
from swarmd.runtime.clock import SystemClock
from tests.support.balancer_contract import BalancerContract


class TestProxy(BalancerContract):
    entry = "127.0.0.7"

    def balancer(self) -> Balancer:
        return ProxyBalancer(
            place=Place(node_name="node-7", listen=(self.entry, self.entry6)),
            clock=SystemClock(),
            rng=random.Random(7),
        )
