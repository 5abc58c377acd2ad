"""The demonstration: a swarm of five nodes on one machine (`make demo`)."""
