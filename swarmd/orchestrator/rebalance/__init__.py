"""Rebalancing: which running tasks the scheduler would rather have elsewhere, and the moves there.

With *spread*, a task is moved when that makes the numbers it is about more even (`leveling`), with
*binpack* when a node is freed by it (`emptying`); where tasks are placed by lot nothing is better
than anything else. Each move makes something better and nothing of more weight worse, so moves come
to an end and none is ever undone by another.

A move starts first: its task runs before the one that it replaces is told to stop, so that no
service has fewer running because of it. It is part of the store (`Task.replaces`); a leader that is
lost loses nothing, and a move that can't be carried out is called off (docs/design/rebalance.md).
"""

from swarmd.orchestrator.rebalance.moves import Move, Planned, plan_moves

__all__ = ["Move", "Planned", "plan_moves"]
