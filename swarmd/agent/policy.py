"""What this node lets tasks have of it: the words of `swarmd.model.permissions`, and its binds.

The node's own words win over those that the cluster gave a task along. Whatever they say, no task
gets at the node's state: keys, secrets and the volumes of others are in it.
"""

from __future__ import annotations

import os
from pathlib import Path

from swarmd.agent.executors.base import TaskFailure
from swarmd.model import permissions
from swarmd.model.spec import ContainerSpec


class NodePolicy:
    """The permissions of one node.

    Args:
        own: the node's words; None leaves it to the cluster.
        protected: directories that no task may mount, nor what is in them.
    """

    def __init__(
        self, hostname: str, *, own: tuple[str, ...] | None = None, protected: tuple[Path, ...] = ()
    ) -> None:
        self._hostname = hostname
        self._own = own
        self._protected = tuple(os.path.realpath(path) for path in protected)

    def check(self, spec: ContainerSpec, allow: tuple[str, ...]) -> None:
        """Refuse a container that asks for more than this node gives.

        Args:
            allow: what the cluster says.

        Raises:
            TaskFailure: it says what, which node, and how to allow it.
        """
        ask = permissions.refused(spec, self._words(allow))
        if ask is not None:
            raise TaskFailure(
                f"{ask.what}, which node {self._hostname} does not allow; {self._remedy(ask.word)}"
            )

    def bind_source(self, path: str, allow: tuple[str, ...]) -> str:
        """The directory or file of the node that a bind may show, without links; blocks.

        Raises:
            TaskFailure: it may not.
        """
        real = os.path.realpath(path)
        if any(permissions.is_within(real, directory) for directory in self._protected):
            raise TaskFailure(
                f"bind source path {path} lies in the state directory of node {self._hostname}, "
                "which no task may see"
            )
        words = self._words(allow)
        if not permissions.may_bind(real, words):
            roots = [word for word in words if word.startswith(permissions.BIND)]
            given = f"only what {', '.join(roots)} allow" if roots else "none"
            raise TaskFailure(
                f"bind source path {path} is not allowed on node {self._hostname}, which lets "
                f"tasks mount {given}; {self._remedy(f'{permissions.BIND}{real}')}"
            )
        return real

    def _words(self, allow: tuple[str, ...]) -> tuple[str, ...]:
        return allow if self._own is None else self._own

    def _remedy(self, word: str) -> str:
        here = f"add {word} to what its daemon is started with --allow for, or to the file `allow`"
        if self._own is not None:
            return f"{here} in its state directory, or constrain the service to other nodes"
        return (
            f"`swarmd update --allow {word}` allows it on all nodes that say nothing themselves, "
            f"--allow {word} of its daemon on this one"
        )
