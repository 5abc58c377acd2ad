"""Volumes of this node, of the local driver (docs/design/volumes.md)."""

from swarmd.agent.volumes.store import Volume, VolumeProblem, VolumeStore

__all__ = ["Volume", "VolumeProblem", "VolumeStore"]
