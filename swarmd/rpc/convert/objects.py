"""Any record as the one message that watchers get, whatever its kind.

Private keys and the data of secrets are left out, as in every other answer.
"""

from __future__ import annotations

from swarmd.model.cluster import Cluster
from swarmd.model.custom import Extension, Resource
from swarmd.model.network import Network
from swarmd.model.node import Node
from swarmd.model.secret import Config, Secret
from swarmd.model.service import Service
from swarmd.model.task import Task
from swarmd.rpc.convert.cluster import cluster_to_pb
from swarmd.rpc.convert.custom import EXTENSION, RESOURCE
from swarmd.rpc.convert.network import NETWORK
from swarmd.rpc.convert.node import NODE
from swarmd.rpc.convert.secret import CONFIG, secret_to_pb
from swarmd.rpc.convert.service import SERVICE
from swarmd.rpc.convert.task import task_to_pb
from swarmd.rpc.pb import watch
from swarmd.store.changes import Object


def object_to_pb(record: Object) -> watch.Object:
    match record:
        case Task():
            return watch.Object(task=task_to_pb(record))
        case Service():
            return watch.Object(service=SERVICE.to_pb(record))
        case Node():
            return watch.Object(node=NODE.to_pb(record))
        case Cluster():
            return watch.Object(cluster=cluster_to_pb(record))
        case Network():
            return watch.Object(network=NETWORK.to_pb(record))
        case Secret():
            return watch.Object(secret=secret_to_pb(record))
        case Config():
            return watch.Object(config=CONFIG.to_pb(record))
        case Extension():
            return watch.Object(extension=EXTENSION.to_pb(record))
        case Resource():
            return watch.Object(resource=RESOURCE.to_pb(record))
