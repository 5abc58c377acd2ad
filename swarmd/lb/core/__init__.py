"""Pure decisions of the balancer: what should be served, and the steps that lead there."""
