"""The certificate directory: what it holds, what it survives, what it refuses."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from swarmd.ca import files
from swarmd.ca.credentials import NodeCredentials
from swarmd.ca.keystore import Keystore
from swarmd.ca.problems import KeystoreLocked, KeystoreProblem
from swarmd.model.states import Role
from tests.support.certs import issue, make_ca, shared_ca

KEK = bytes(range(32))


def some_credentials(role: Role = Role.WORKER) -> NodeCredentials:
    pair = issue(shared_ca(), "node1", role)
    return NodeCredentials.checked(
        root_pem=pair.root_pem, cert_pem=pair.cert_pem, key_pem=pair.key_pem, now=None
    )


OLD = some_credentials()
NEW = some_credentials(Role.MANAGER)


@pytest.fixture
def store(tmp_path: Path) -> Keystore:
    return Keystore(tmp_path / "certificates")


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_what_was_saved_is_loaded(store: Keystore) -> None:
    assert not store.exists()
    store.save(OLD)
    assert store.exists()
    assert store.load() == OLD
    store.save(NEW)
    assert store.load() == NEW


def test_only_the_owner_can_read_the_key_whatever_the_umask(store: Keystore) -> None:
    previous = os.umask(0o777 - 0o700)
    try:
        store.save(OLD)
    finally:
        os.umask(previous)
    assert mode(store.directory / "swarm-node.key") == 0o600
    assert mode(store.directory / "swarm-node.crt") == 0o644
    assert mode(store.directory / "swarm-root-ca.crt") == 0o644


def test_saving_leaves_no_temporary_files(store: Keystore) -> None:
    store.save(OLD)
    store.save(NEW)
    assert sorted(path.name for path in store.directory.iterdir()) == [
        "swarm-node.crt",
        "swarm-node.key",
        "swarm-root-ca.crt",
    ]


def test_forgetting_removes_everything_and_may_be_repeated(store: Keystore) -> None:
    store.save(OLD)
    store.forget()
    store.forget()
    assert list(store.directory.iterdir()) == []
    assert not store.exists()


class PowerCut(Exception):
    """Raised in place of the step at which the machine stops."""


def steps_of_saving(
    store: Keystore, credentials: NodeCredentials, monkeypatch: pytest.MonkeyPatch, *, cut_at: int
) -> int:
    """Save, stopping before rename number `cut_at`; the number of renames that were begun."""
    begun = 0

    def replace(source: Path, target: Path) -> None:
        nonlocal begun
        begun += 1
        if begun == cut_at:
            raise PowerCut
        os.rename(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(files.os, "replace", replace)
        try:
            store.save(credentials)
        except PowerCut:
            return begun
    return begun


@pytest.mark.parametrize("cut_at", [1, 2, 3, 4])
def test_a_crash_while_saving_leaves_the_old_or_the_new_credentials(
    store: Keystore, monkeypatch: pytest.MonkeyPatch, cut_at: int
) -> None:
    store.save(OLD)
    assert steps_of_saving(store, NEW, monkeypatch, cut_at=cut_at) == cut_at
    # The key is the third file to change: from then on the new certificate is the right one.
    assert store.load() == (NEW if cut_at == 4 else OLD)
    assert store.load() == Keystore(store.directory).load()
    store.save(NEW)
    assert store.load() == NEW


def test_the_crash_test_cuts_at_every_rename(
    store: Keystore, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert steps_of_saving(store, OLD, monkeypatch, cut_at=0) == 4


def test_a_sealed_key_opens_with_its_kek_only(store: Keystore) -> None:
    store.save(OLD, kek=KEK)
    assert b"ENCRYPTED" in (store.directory / "swarm-node.key").read_bytes()
    assert store.load(kek=KEK) == OLD
    with pytest.raises(KeystoreLocked, match="unlock"):
        store.load()
    with pytest.raises(KeystoreLocked, match="wrong"):
        store.load(kek=bytes(32))


def test_a_key_that_is_not_sealed_opens_with_any_kek(store: Keystore) -> None:
    store.save(OLD)
    assert store.load(kek=KEK) == OLD


@pytest.mark.parametrize("name", ["swarm-root-ca.crt", "swarm-node.crt", "swarm-node.key"])
def test_a_missing_file_is_named(store: Keystore, name: str) -> None:
    store.save(OLD)
    (store.directory / name).unlink()
    with pytest.raises(KeystoreProblem, match=f"{name} is missing"):
        store.load()


@pytest.mark.parametrize("name", ["swarm-root-ca.crt", "swarm-node.crt", "swarm-node.key"])
def test_a_damaged_file_is_never_used(store: Keystore, name: str) -> None:
    """Bits flipped at a sample of positions either are noticed or change nothing."""
    store.save(OLD)
    path = store.directory / name
    content = path.read_bytes()
    noticed = 0
    for position in range(3, len(content), 7):
        damaged = bytearray(content)
        damaged[position] ^= 1 << position % 8
        path.write_bytes(damaged)
        try:
            loaded = store.load()
        except KeystoreProblem:
            noticed += 1
        else:
            assert loaded.facts == OLD.facts
        path.write_bytes(content)
    assert noticed > len(content) / 7 * 0.8
    assert store.load() == OLD


@pytest.mark.parametrize("name", ["swarm-root-ca.crt", "swarm-node.crt", "swarm-node.key"])
@pytest.mark.parametrize("size", [0, 1, 100, 5_000_000])
def test_a_truncated_or_bloated_file_is_refused(store: Keystore, name: str, size: int) -> None:
    store.save(OLD)
    path = store.directory / name
    os.truncate(path, size)
    with pytest.raises(KeystoreProblem):
        store.load()


def test_files_that_do_not_belong_together_are_refused(store: Keystore) -> None:
    store.save(OLD)
    (store.directory / "swarm-node.crt").write_bytes(NEW.cert_pem)
    with pytest.raises(KeystoreProblem, match="another private key"):
        store.load()
    store.save(OLD)
    store.save_root(make_ca().cert_pem)
    with pytest.raises(KeystoreProblem, match="not issued by the root"):
        store.load()


def test_a_key_that_others_can_read_is_refused(store: Keystore) -> None:
    store.save(OLD)
    (store.directory / "swarm-node.key").chmod(0o644)
    with pytest.raises(KeystoreProblem, match=r"others may use it \(mode 0644\); run `chmod 600"):
        store.load()


@pytest.mark.parametrize("name", ["swarm-root-ca.crt", "swarm-node.crt", "."])
def test_anything_that_others_can_change_is_refused(store: Keystore, name: str) -> None:
    store.save(OLD)
    (store.directory / name).chmod(0o777)
    with pytest.raises(KeystoreProblem, match="can be changed by others"):
        store.load()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to give files away")
@pytest.mark.parametrize("name", ["swarm-root-ca.crt", "swarm-node.crt", "swarm-node.key", "."])
def test_files_of_another_user_are_refused(store: Keystore, name: str) -> None:
    store.save(OLD)
    os.chown(store.directory / name, 12345, 12345)
    with pytest.raises(KeystoreProblem, match="belongs to user 12345, but swarmd runs as user 0"):
        store.load()


def test_a_directory_in_place_of_a_file_is_refused(store: Keystore) -> None:
    store.save(OLD)
    (store.directory / "swarm-node.crt").unlink()
    (store.directory / "swarm-node.crt").mkdir()
    with pytest.raises(KeystoreProblem):
        store.load()


def test_a_missing_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(KeystoreProblem, match="can't be read"):
        Keystore(tmp_path / "nowhere").load()


def test_a_directory_that_can_not_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(KeystoreProblem, match="could not be written"):
        Keystore(tmp_path / "file" / "certificates").save(OLD)


def test_the_root_alone_can_be_saved_and_read(store: Keystore) -> None:
    assert store.load_root() is None
    store.save_root(OLD.root_pem)
    assert store.load_root() == OLD.root_pem


@pytest.fixture
def small_disk(tmp_path: Path):  # type: ignore[no-untyped-def]
    """A file system with room for a few files only."""
    path = tmp_path / "disk"
    path.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=32k,mode=0755", "tmpfs", path],
        capture_output=True,
        check=False,
    )
    if mounted.returncode != 0:
        pytest.skip("needs the privilege to mount a tmpfs")
    yield path
    subprocess.run(["umount", path], check=True)


@pytest.mark.root
def test_a_full_disk_keeps_the_old_credentials(small_disk: Path) -> None:
    store = Keystore(small_disk / "certificates")
    store.save(OLD)
    with pytest.raises(OSError, match="No space left"):
        (small_disk / "filler").write_bytes(bytes(64 * 1024))
    with pytest.raises(KeystoreProblem, match="No space left on device; what was there before"):
        store.save(NEW)
    assert store.load() == OLD
    (small_disk / "filler").unlink()
    store.save(NEW)
    assert store.load() == NEW
