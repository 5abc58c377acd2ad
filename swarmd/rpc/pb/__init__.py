"""Generated protobuf modules under short names; `proto/generate.py` writes everything below here.

The names follow the .proto files: `types.TaskStatus`, `control.CreateServiceRequest`,
`local.InfoRequest`.
"""

from swarmd.rpc.pb.docker.swarmkit.v1 import ca_pb2 as ca
from swarmd.rpc.pb.docker.swarmkit.v1 import control_pb2 as control
from swarmd.rpc.pb.docker.swarmkit.v1 import dispatcher_pb2 as dispatcher
from swarmd.rpc.pb.docker.swarmkit.v1 import health_pb2 as health
from swarmd.rpc.pb.docker.swarmkit.v1 import logbroker_pb2 as logbroker
from swarmd.rpc.pb.docker.swarmkit.v1 import objects_pb2 as objects
from swarmd.rpc.pb.docker.swarmkit.v1 import raft_pb2 as raft
from swarmd.rpc.pb.docker.swarmkit.v1 import resource_pb2 as resource
from swarmd.rpc.pb.docker.swarmkit.v1 import snapshot_pb2 as snapshot
from swarmd.rpc.pb.docker.swarmkit.v1 import specs_pb2 as specs
from swarmd.rpc.pb.docker.swarmkit.v1 import types_pb2 as types
from swarmd.rpc.pb.docker.swarmkit.v1 import watch_pb2 as watch
from swarmd.rpc.pb.swarmd.v1 import cluster_pb2 as cluster
from swarmd.rpc.pb.swarmd.v1 import doctor_pb2 as doctor
from swarmd.rpc.pb.swarmd.v1 import endpoints_pb2 as endpoints
from swarmd.rpc.pb.swarmd.v1 import errands_pb2 as errands
from swarmd.rpc.pb.swarmd.v1 import exec_pb2 as exec_
from swarmd.rpc.pb.swarmd.v1 import extensions_pb2 as extensions
from swarmd.rpc.pb.swarmd.v1 import history_pb2 as history
from swarmd.rpc.pb.swarmd.v1 import images_pb2 as images
from swarmd.rpc.pb.swarmd.v1 import local_pb2 as local
from swarmd.rpc.pb.swarmd.v1 import registries_pb2 as registries
from swarmd.rpc.pb.swarmd.v1 import updates_pb2 as updates
from swarmd.rpc.pb.swarmd.v1 import volumes_pb2 as volumes

__all__ = [
    "ca",
    "cluster",
    "control",
    "dispatcher",
    "doctor",
    "endpoints",
    "errands",
    "exec_",
    "extensions",
    "health",
    "history",
    "images",
    "local",
    "logbroker",
    "objects",
    "raft",
    "registries",
    "resource",
    "snapshot",
    "specs",
    "types",
    "updates",
    "volumes",
    "watch",
]
