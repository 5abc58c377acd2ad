"""What the API accepts: pure checks of specs, each refusing with one sentence.

A check returns nothing or raises a `Rejection` naming the field, the limit and the way out. Limits
are tables, so that the tests can walk both sides of each (docs/design/control.md).
"""

from swarmd.manager.validate.cluster import check_cluster_spec
from swarmd.manager.validate.node import check_node_spec
from swarmd.manager.validate.ports import check_port_conflicts
from swarmd.manager.validate.service import check_service_spec, check_service_update

__all__ = [
    "check_cluster_spec",
    "check_node_spec",
    "check_port_conflicts",
    "check_service_spec",
    "check_service_update",
]
