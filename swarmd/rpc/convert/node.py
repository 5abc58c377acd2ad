"""Nodes to messages and back; a manager's standing in Raft is added by whoever knows it."""

from __future__ import annotations

from swarmd.model.node import (
    EngineDescription,
    Node,
    NodeCertificate,
    NodeDescription,
    NodeSpec,
    NodeStatus,
    NodeTLSInfo,
    Oversell,
    PluginDescription,
)
from swarmd.rpc.convert import words
from swarmd.rpc.convert.codecs import (
    ITEMS,
    LABELS,
    SCALAR,
    TIME,
    VERSION,
    always,
    each,
    optional,
)
from swarmd.rpc.convert.network import NETWORK_ATTACHMENT
from swarmd.rpc.convert.spec import PLATFORM, RESOURCES
from swarmd.rpc.convert.table import Mapping, field
from swarmd.rpc.pb import extensions, objects, specs, types

OVERSELL = Mapping(
    Oversell,
    extensions.Oversell,
    field("cpus", "cpus", SCALAR),
    field("memory", "memory", SCALAR),
)
NODE_SPEC = Mapping(
    NodeSpec,
    specs.NodeSpec,
    field("name", "annotations.name", SCALAR),
    field("labels", "annotations.labels", LABELS),
    field("role", "desired_role", words.ROLE),
    field("membership", "membership", words.MEMBERSHIP),
    field("availability", "availability", words.AVAILABILITY),
    field("taints", "taints", ITEMS),
    field("oversell", "oversell", optional(OVERSELL)),
    field("drain_order", "drain_order", words.UPDATE_ORDER),
    present=("annotations",),
)
PLUGIN = Mapping(
    PluginDescription,
    types.PluginDescription,
    field("type", "type", SCALAR),
    field("name", "name", SCALAR),
)
ENGINE = Mapping(
    EngineDescription,
    types.EngineDescription,
    field("engine_version", "engine_version", SCALAR),
    field("labels", "labels", LABELS),
    field("plugins", "plugins", each(PLUGIN)),
)
TLS_INFO = Mapping(
    NodeTLSInfo,
    types.NodeTLSInfo,
    field("trust_root", "trust_root", SCALAR),
    field("cert_issuer_subject", "cert_issuer_subject", SCALAR),
    field("cert_issuer_public_key", "cert_issuer_public_key", SCALAR),
)
NODE_DESCRIPTION = Mapping(
    NodeDescription,
    types.NodeDescription,
    field("hostname", "hostname", SCALAR),
    field("platform", "platform", optional(PLATFORM)),
    field("resources", "resources", optional(RESOURCES)),
    field("engine", "engine", optional(ENGINE)),
    field("tls_info", "tls_info", optional(TLS_INFO)),
    field("data_addr", "data_addr", SCALAR),
    field("runtime", "runtime", SCALAR),
    field("balancer", "balancer", SCALAR),
    field("tunnel_addr", "tunnel_addr", SCALAR),
)
NODE_STATUS = Mapping(
    NodeStatus,
    types.NodeStatus,
    field("state", "state", words.NODE_STATE),
    field("message", "message", SCALAR),
    field("addr", "addr", SCALAR),
    field("since", "since", TIME),
)
CERTIFICATE = Mapping(
    NodeCertificate,
    types.Certificate,
    field("role", "role", words.ROLE),
    field("csr", "csr", SCALAR),
    field("status", "status.state", words.ISSUANCE_STATE),
    field("error", "status.err", SCALAR),
    field("certificate", "certificate", SCALAR),
    field("cn", "cn", SCALAR),
    present=("status",),
)
NODE = Mapping(
    Node,
    objects.Node,
    field("id", "id", SCALAR),
    field("version", "meta.version", VERSION),
    field("created_at", "meta.created_at", TIME),
    field("updated_at", "meta.updated_at", TIME),
    field("spec", "spec", always(NODE_SPEC)),
    field("description", "description", optional(NODE_DESCRIPTION)),
    field("status", "status", always(NODE_STATUS)),
    field("role", "role", words.ROLE),
    field("certificate", "certificate", always(CERTIFICATE)),
    field("attachments", "attachments", each(NETWORK_ATTACHMENT)),
)
