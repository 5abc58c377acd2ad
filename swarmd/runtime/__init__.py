"""The process's edges to the outside world: clock, chance, supervision, logging."""
