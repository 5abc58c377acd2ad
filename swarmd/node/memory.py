"""What the state directory remembers: which cluster this node is part of, as whom, at what address.

Certificates and settings are written together; one without the other is damage, never an inactive
node, which might be told to found a cluster over the remains.
"""

from __future__ import annotations

import shutil

from swarmd.ca.credentials import NodeCredentials
from swarmd.ca.keystore import Keystore
from swarmd.raft import founding as raft_founding

from . import settings as settings_file
from .paths import Paths
from .settings import Settings
from .state_dir import StateDirError


class Memory:
    """The part of a state directory that makes its owner a node of a cluster."""

    def __init__(self, paths: Paths) -> None:
        self.keystore = Keystore(paths.certificates)
        self._paths = paths

    @property
    def is_empty(self) -> bool:
        """Whether the directory has no certificates; there may be other remains."""
        return not self.keystore.exists()

    def recall(self) -> tuple[NodeCredentials, Settings] | None:
        """Who this node was; None where it was part of no cluster.

        Raises:
            StateDirError, KeystoreProblem: it was part of one, and something of that is missing or
                damaged. Nothing is changed, so that it can be restored.
        """
        settings = settings_file.load(self._paths.settings)
        if self.is_empty:
            if raft_founding.is_initialised(self._paths.raft):
                raise StateDirError(
                    f"the certificates in {self._paths.certificates} are missing; restore the "
                    "directory from a backup, or `swarmd leave --force` and join again"
                )
            return None
        if settings is None:
            raise StateDirError(
                f"{self._paths.settings} is missing although this node has certificates; restore "
                "the file, or `swarmd leave --force` and join again"
            )
        return self.keystore.load(), settings

    def keep(self, credentials: NodeCredentials, settings: Settings) -> None:
        """Be this node from now on."""
        self.keep_settings(settings)
        self.keystore.save(credentials)

    def keep_settings(self, settings: Settings) -> None:
        """Be the same node under other settings."""
        settings_file.save(self._paths.settings, settings)

    def forget(self) -> None:
        """Be part of no cluster."""
        self.keystore.forget()
        self._paths.settings.unlink(missing_ok=True)
        wipe_raft(self._paths)
        self._paths.endpoints.unlink(missing_ok=True)


def wipe_raft(paths: Paths) -> None:
    """Forget what this node knew as a manager."""
    shutil.rmtree(paths.raft, ignore_errors=True)
    paths.raft.mkdir(mode=0o700, exist_ok=True)
