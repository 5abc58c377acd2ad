"""What a node holds to prove who it is: root bundle, certificate chain, private key.

The three always travel together and always fit: `NodeCredentials.checked` is the only way in, so
code that is handed credentials never asks again whether key and certificate match, or who issued
them.
"""

from __future__ import annotations

from msgspec import Struct

from swarmd.ca.verify import (
    CertificateFacts,
    issuer_public_key,
    require_matching_key,
    verify_chain,
)
from swarmd.model.ids import ClusterId, NodeId
from swarmd.model.instant import Instant
from swarmd.model.node import NodeTLSInfo
from swarmd.model.states import Role


class NodeCredentials(Struct, frozen=True, kw_only=True):
    """A node's identity with everything needed to prove it; PEM bytes and parsed facts."""

    root_pem: bytes
    cert_pem: bytes  # the node's certificate, then any intermediate
    key_pem: bytes  # never encrypted in memory
    facts: CertificateFacts

    @classmethod
    def checked(
        cls, *, root_pem: bytes, cert_pem: bytes, key_pem: bytes, now: Instant | None
    ) -> NodeCredentials:
        """NodeCredentials whose parts fit together, and are valid at `now` unless that is None.

        Raises:
            CertificateProblem: which part doesn't fit, and why.
        """
        facts = verify_chain(cert_pem, root_pem, now=now)
        require_matching_key(cert_pem, key_pem)
        return cls(root_pem=root_pem, cert_pem=cert_pem, key_pem=key_pem, facts=facts)

    @property
    def node_id(self) -> NodeId:
        return self.facts.subject.node_id

    @property
    def role(self) -> Role:
        return self.facts.subject.role

    @property
    def cluster_id(self) -> ClusterId:
        return self.facts.subject.cluster_id

    def tls_info(self) -> NodeTLSInfo:
        """What the node tells its managers about its certificate, so they can see a root arrive."""
        return NodeTLSInfo(
            trust_root=self.root_pem,
            cert_issuer_subject=self.facts.issuer_der,
            cert_issuer_public_key=issuer_public_key(self.cert_pem, self.root_pem),
        )

    def __repr__(self) -> str:
        subject = self.facts.subject
        return f"NodeCredentials({subject.node_id}, {subject.ou}, {subject.cluster_id}, key hidden)"
