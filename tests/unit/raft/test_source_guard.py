"""An upgrade of pysyncobj must not slip through: every private name in use has a known source."""

import hashlib
import inspect
import re
from importlib.metadata import version
from pathlib import Path

import pysyncobj.syncobj as library
import pytest

import swarmd.raft

PACKAGE = Path(swarmd.raft.__file__).parent
ALLOWED = {"core.py", "books.py"}

# To renew after a review of the library's changes:
#   python -m pytest tests/unit/raft/test_source_guard.py prints the new hashes on failure.
HASHES = {
    "_SyncObj__applyLogEntries": "073db677773b5a2d",
    "_SyncObj__changeCluster": "66b42884f9d2dbd1",
    "_SyncObj__connectedToAnyone": "acd40e9e3ac6c4cc",
    "_SyncObj__deleteEntriesTo": "b7b29988856a66b3",
    "_SyncObj__doApplyCommand": "1ea7aa506e950d0a",
    "_SyncObj__doChangeCluster": "247d4d4101b8cd3c",
    "_SyncObj__generateRaftTimeout": "92ed37d3620e781a",
    "_SyncObj__getEntries": "e29c4b33293b2101",
    "_SyncObj__loadDumpFile": "ec66e83905de703b",
    "_SyncObj__onBecomeLeader": "5a3fd97bc17dc1cf",
    "_SyncObj__onMessageReceived": "ddfe34b6c0282179",
    "_SyncObj__onNodeConnected": "2655afb481b4c69b",
    "_SyncObj__onNodeDisconnected": "a81c0475ba2218cc",
    "_SyncObj__onReadonlyNodeConnected": "88ae4a6d87507838",
    "_SyncObj__onReadonlyNodeDisconnected": "9dc1fe5296c63ca7",
    "_SyncObj__parseChangeClusterRequest": "b2d5d695b12e592f",
    "_SyncObj__sendAppendEntries": "9cb9073128c392fa",
    "_SyncObj__setCurrentTerm": "0ad5bf456ac06bd3",
    "_SyncObj__setState": "2c1f239f7bd79b39",
    "_SyncObj__tryLogCompaction": "c2f8a0ec14cc7312",
    "_SyncObj__updateClusterConfiguration": "e2de42f3d1a46c96",
    "__init__": "09df12cd7fd7d727",
    "_applyCommand": "827f207d515b2d64",
    "_checkCommandsToApply": "a386a8079361d204",
    "_doDestroy": "8a6c9f892614a4b9",
    "_onTick": "cc9eb08232d005ba",
    "forceLogCompaction": "00154a6c3c106824",
    "transferLeadership": "c3ac67963962d9aa",
}


def used_methods() -> set[str]:
    """The library's methods that the guarded core overrides, calls or relies on."""
    text = "".join((PACKAGE / name).read_text() for name in ALLOWED)
    private = set(re.findall(r"_SyncObj__(\w+)", text))
    names = {f"_SyncObj__{n}" for n in private if hasattr(library.SyncObj, f"_SyncObj__{n}")}
    return names | {
        "__init__",
        "_onTick",
        "_applyCommand",
        "_checkCommandsToApply",
        "_doDestroy",
        "transferLeadership",
        "forceLogCompaction",
        "_SyncObj__onBecomeLeader",
        "_SyncObj__tryLogCompaction",
        "_SyncObj__connectedToAnyone",
    }


def source_hash(name: str) -> str:
    source = inspect.getsource(getattr(library.SyncObj, name))
    return hashlib.sha256(source.encode()).hexdigest()[:16]


def test_the_library_has_the_version_that_was_reviewed() -> None:
    assert version("pysyncobj") == "0.3.17"


def test_every_method_in_use_has_the_source_that_was_reviewed() -> None:
    actual = {name: source_hash(name) for name in sorted(used_methods())}
    assert actual == HASHES


@pytest.mark.parametrize("path", sorted(PACKAGE.glob("*.py")), ids=lambda p: p.name)
def test_private_names_of_the_library_stay_in_the_guarded_core(path: Path) -> None:
    if path.name not in ALLOWED:
        assert "_SyncObj__" not in path.read_text()


def test_the_core_overrides_only_methods_the_library_has() -> None:
    text = (PACKAGE / "core.py").read_text()
    for name in re.findall(r"def (_SyncObj__\w+)", text):
        assert hasattr(library.SyncObj, name), name
