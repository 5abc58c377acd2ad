"""The operator's API, `docker.swarmkit.v1.Control`: reads, checks and writes specs.

One class per noun; `Control` is what the router serves (docs/design/control.md).
"""

from swarmd.manager.control.control import Control
from swarmd.manager.control.core import ControlEnv, ManagerMember

__all__ = ["Control", "ControlEnv", "ManagerMember"]
