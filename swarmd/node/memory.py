"""Recalling from the state directory which cluster this node is part of, as whom.

Certificates and settings are written together; one without the other is damage, never an inactive
node, which might be told to found a cluster over the remains.
"""

from __future__ import annotations

from swarmd.ca.credentials import NodeCredentials
from swarmd.ca.keystore import Keystore
from swarmd.raft import founding as raft_founding

from . import settings as settings_file
from .paths import Paths
from .settings import Settings
from .state_dir import StateDirError


def recall(paths: Paths, keystore: Keystore) -> tuple[NodeCredentials, Settings] | None:
    """Who this node was; None where it was part of no cluster.

    Raises:
        StateDirError, KeystoreProblem: it was part of one, and something of that is missing or
            damaged. Nothing is changed, so that it can be restored.
    """
    settings = settings_file.load(paths.settings)
    if not keystore.exists():
        if raft_founding.is_initialised(paths.raft):
            raise StateDirError(
                f"the certificates in {paths.certificates} are missing; restore the "
                "directory from a backup, or `swarmd leave --force` and join again"
            )
        return None
    if settings is None:
        raise StateDirError(
            f"{paths.settings} is missing although this node has certificates; restore "
            "the file, or `swarmd leave --force` and join again"
        )
    return keystore.load(), settings
