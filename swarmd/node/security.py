"""The node's identity while it runs: who it is now, and who must hear when that changes.

A renewal replaces the credentials as a whole: first on disk, then in memory, then everybody who
subscribed is told. Connections that are open go on with what they began with; what is dialled or
accepted afterwards uses the new certificate.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable

from swarmd.ca.credentials import NodeCredentials
from swarmd.ca.keystore import Keystore
from swarmd.model.ids import ClusterId, NodeId
from swarmd.model.node import NodeTLSInfo
from swarmd.model.states import Role
from swarmd.rpc.tls import MANAGER_NAME, RAFT_ALPN, ClientTls, Credentials, client_context

Listener = Callable[[NodeCredentials], None]


class SecurityContext:
    """Current root, certificate and key, in the forms that servers and clients need.

    Args:
        kek: key-encryption key that seals the private key on disk; None leaves it open.
    """

    def __init__(
        self, credentials: NodeCredentials, keystore: Keystore, *, kek: bytes | None = None
    ) -> None:
        self._credentials = credentials
        self._keystore = keystore
        self._kek = kek
        self._listeners: list[Listener] = []
        self._raft_context: ssl.SSLContext | None = None

    @property
    def credentials(self) -> NodeCredentials:
        return self._credentials

    @property
    def node_id(self) -> NodeId:
        return self._credentials.node_id

    @property
    def cluster_id(self) -> ClusterId:
        return self._credentials.cluster_id

    @property
    def role(self) -> Role:
        """The role in the certificate, which is the role this node may act in."""
        return self._credentials.role

    def tls_info(self) -> NodeTLSInfo:
        """For the node's description."""
        return self._credentials.tls_info()

    def server_credentials(self) -> Credentials:
        """What the listener shows and trusts; hand the new ones to `ServerTls.replace`."""
        current = self._credentials
        return Credentials(current.root_pem, current.cert_pem, current.key_pem)

    def client_tls(self, server_name: str = MANAGER_NAME) -> ClientTls:
        """For channels to managers, as of now; ask again for every new channel."""
        current = self._credentials
        return ClientTls(current.root_pem, current.cert_pem, current.key_pem, server_name)

    def raft_client_context(self) -> ssl.SSLContext:
        """For dialling another manager's Raft port; one context per set of credentials."""
        if self._raft_context is None:
            self._raft_context = client_context(self.client_tls(), alpn=RAFT_ALPN)
        return self._raft_context

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Call `listener` with every new set of credentials; the answer ends the subscription.

        Listeners run synchronously, in the order they subscribed, and must not raise.
        """
        self._listeners.append(listener)

        def unsubscribe() -> None:
            if listener in self._listeners:
                self._listeners.remove(listener)

        return unsubscribe

    def replace(self, credentials: NodeCredentials) -> None:
        """Become `credentials`, durably, and tell the listeners.

        Raises:
            KeystoreProblem: they could not be saved; the old ones stay in use.
        """
        if credentials.node_id != self.node_id or credentials.cluster_id != self.cluster_id:
            raise AssertionError("a node keeps its id and its cluster for as long as it runs")
        self._keystore.save(credentials, kek=self._kek)
        self._credentials = credentials
        self._raft_context = None
        for listener in tuple(self._listeners):
            listener(credentials)
