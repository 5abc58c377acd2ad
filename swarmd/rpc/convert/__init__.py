"""Records to protobuf messages and back: the only place that knows both.

`<noun>_to_pb` and `<noun>_from_pb` for every record that travels; `unsupported` names what a
client asked for that no record can hold.
"""

from swarmd.rpc.convert.cluster import CLUSTER, CLUSTER_SPEC, cluster_to_pb
from swarmd.rpc.convert.node import (
    CERTIFICATE,
    NODE,
    NODE_DESCRIPTION,
    NODE_SPEC,
    NODE_STATUS,
    TLS_INFO,
)
from swarmd.rpc.convert.service import ENDPOINT, SERVICE, UPDATE_STATUS
from swarmd.rpc.convert.spec import (
    ENDPOINT_SPEC,
    PLATFORM,
    PORT,
    RESOURCES,
    SERVICE_SPEC,
    TASK_SPEC,
    UPDATE_CONFIG,
)
from swarmd.rpc.convert.task import TASK, TASK_STATUS, task_to_bytes, task_to_pb
from swarmd.rpc.convert.unsupported import unsupported, unsupported_fields

cluster_from_pb = CLUSTER.from_pb
cluster_spec_to_pb, cluster_spec_from_pb = CLUSTER_SPEC.to_pb, CLUSTER_SPEC.from_pb
node_to_pb, node_from_pb = NODE.to_pb, NODE.from_pb
node_spec_to_pb, node_spec_from_pb = NODE_SPEC.to_pb, NODE_SPEC.from_pb
node_status_to_pb, node_status_from_pb = NODE_STATUS.to_pb, NODE_STATUS.from_pb
description_to_pb, description_from_pb = NODE_DESCRIPTION.to_pb, NODE_DESCRIPTION.from_pb
tls_info_to_pb, tls_info_from_pb = TLS_INFO.to_pb, TLS_INFO.from_pb
certificate_to_pb, certificate_from_pb = CERTIFICATE.to_pb, CERTIFICATE.from_pb
service_to_pb, service_from_pb = SERVICE.to_pb, SERVICE.from_pb
service_spec_to_pb, service_spec_from_pb = SERVICE_SPEC.to_pb, SERVICE_SPEC.from_pb
task_spec_to_pb, task_spec_from_pb = TASK_SPEC.to_pb, TASK_SPEC.from_pb
task_from_pb = TASK.from_pb
task_status_to_pb, task_status_from_pb = TASK_STATUS.to_pb, TASK_STATUS.from_pb
endpoint_to_pb, endpoint_from_pb = ENDPOINT.to_pb, ENDPOINT.from_pb
endpoint_spec_to_pb, endpoint_spec_from_pb = ENDPOINT_SPEC.to_pb, ENDPOINT_SPEC.from_pb
port_to_pb, port_from_pb = PORT.to_pb, PORT.from_pb
platform_to_pb, platform_from_pb = PLATFORM.to_pb, PLATFORM.from_pb
resources_to_pb, resources_from_pb = RESOURCES.to_pb, RESOURCES.from_pb
update_config_to_pb, update_config_from_pb = UPDATE_CONFIG.to_pb, UPDATE_CONFIG.from_pb
update_status_to_pb, update_status_from_pb = UPDATE_STATUS.to_pb, UPDATE_STATUS.from_pb

__all__ = [
    "CLUSTER",
    "CLUSTER_SPEC",
    "NODE",
    "NODE_SPEC",
    "SERVICE",
    "SERVICE_SPEC",
    "TASK",
    "TASK_SPEC",
    "certificate_from_pb",
    "certificate_to_pb",
    "cluster_from_pb",
    "cluster_spec_from_pb",
    "cluster_spec_to_pb",
    "cluster_to_pb",
    "description_from_pb",
    "description_to_pb",
    "endpoint_from_pb",
    "endpoint_spec_from_pb",
    "endpoint_spec_to_pb",
    "endpoint_to_pb",
    "node_from_pb",
    "node_spec_from_pb",
    "node_spec_to_pb",
    "node_status_from_pb",
    "node_status_to_pb",
    "node_to_pb",
    "platform_from_pb",
    "platform_to_pb",
    "port_from_pb",
    "port_to_pb",
    "resources_from_pb",
    "resources_to_pb",
    "service_from_pb",
    "service_spec_from_pb",
    "service_spec_to_pb",
    "service_to_pb",
    "task_from_pb",
    "task_spec_from_pb",
    "task_spec_to_pb",
    "task_status_from_pb",
    "task_status_to_pb",
    "task_to_bytes",
    "task_to_pb",
    "tls_info_from_pb",
    "tls_info_to_pb",
    "unsupported",
    "unsupported_fields",
    "update_config_from_pb",
    "update_config_to_pb",
    "update_status_from_pb",
    "update_status_to_pb",
]
