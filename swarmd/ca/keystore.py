"""The certificate directory of a node: root bundle, node certificate, node key.

    swarm-root-ca.crt   0644   roots this node trusts
    swarm-node.crt      0644   its certificate, then any intermediate
    swarm-node.key      0600   its private key, PKCS#8, sealed when a key-encryption key is in use
    .swarm-node.crt            a renewed certificate whose key isn't in place yet

Certificate and key must change together although they are two files. A renewal writes the new
certificate under its temporary name, then replaces the key, then renames the certificate. Whatever
moment a crash picks, the key on disk matches one of the two certificates, and loading finishes or
discards the renewal accordingly.

Loading checks everything except the time: a node whose certificate ran out must still come up to
say so.
"""

from __future__ import annotations

import base64
import os
from pathlib import Path

from cryptography.hazmat.primitives import serialization

from swarmd.ca.credentials import NodeCredentials
from swarmd.ca.files import read_file, require_ours, sync_directory, write_file, write_problem
from swarmd.ca.problems import CertificateProblem, KeystoreLocked, KeystoreProblem
from swarmd.ca.verify import load_key, require_matching_key, require_root

ROOT_FILE = "swarm-root-ca.crt"
CERTIFICATE_FILE = "swarm-node.crt"
KEY_FILE = "swarm-node.key"
PENDING_FILE = ".swarm-node.crt"
_SEALED_MARK = b"ENCRYPTED PRIVATE KEY"


class Keystore:
    """Load and save a node's credentials in one directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def exists(self) -> bool:
        """Whether this node was ever given a certificate or a key, whole or not."""
        return any((self.directory / name).exists() for name in (CERTIFICATE_FILE, KEY_FILE))

    def load(self, *, kek: bytes | None = None) -> NodeCredentials:
        """The node's credentials, after finishing what a crash interrupted.

        Raises:
            KeystoreLocked: the key is sealed, and `kek` is missing or not the right one.
            KeystoreProblem: a file is missing, damaged, not ours, or doesn't fit the others.
        """
        self._check_directory()
        root_pem = self._require(ROOT_FILE)
        key_pem = _unsealed(self._require(KEY_FILE, secret=True), kek, self.directory / KEY_FILE)
        cert_pem = self._settle(key_pem)
        try:
            require_root(root_pem, now=None)
            return NodeCredentials.checked(
                root_pem=root_pem, cert_pem=cert_pem, key_pem=key_pem, now=None
            )
        except CertificateProblem as problem:
            raise self._unusable(problem) from problem

    def load_root(self) -> bytes | None:
        """The trusted root bundle alone, None when there is none yet."""
        return read_file(self.directory / ROOT_FILE, secret=False)

    def save(self, credentials: NodeCredentials, *, kek: bytes | None = None) -> None:
        """Make `credentials` the node's own, durably; seal the key when a `kek` is given.

        A failure leaves the old credentials in place and usable.
        """
        self._make_directory()
        self.save_root(credentials.root_pem)
        pending = self.directory / PENDING_FILE
        write_file(pending, credentials.cert_pem, mode=0o644)
        sync_directory(self.directory)
        write_file(self.directory / KEY_FILE, _sealed(credentials.key_pem, kek), mode=0o600)
        # The order on disk must be the order here, hence a sync between the two renames.
        sync_directory(self.directory)
        self._promote_pending()

    def save_root(self, root_pem: bytes) -> None:
        """Replace the trusted root bundle, durably."""
        self._make_directory()
        write_file(self.directory / ROOT_FILE, root_pem, mode=0o644)
        sync_directory(self.directory)

    def forget(self) -> None:
        """Remove key, certificate and root: the node is no longer part of any cluster."""
        for name in (KEY_FILE, PENDING_FILE, CERTIFICATE_FILE, ROOT_FILE):
            try:
                (self.directory / name).unlink(missing_ok=True)
            except OSError as error:
                raise KeystoreProblem(
                    f"{self.directory / name} could not be removed: {error.strerror}"
                ) from error
        if self.directory.exists():
            sync_directory(self.directory)

    def _settle(self, key_pem: bytes) -> bytes:
        """The certificate that fits the key; an unfinished renewal is finished or discarded."""
        current = read_file(self.directory / CERTIFICATE_FILE, secret=False)
        pending = read_file(self.directory / PENDING_FILE, secret=False)
        if pending is None:
            return current if current is not None else self._require(CERTIFICATE_FILE)
        if _fits(pending, key_pem):
            self._promote_pending()
            return pending
        (self.directory / PENDING_FILE).unlink(missing_ok=True)
        return current if current is not None else self._require(CERTIFICATE_FILE)

    def _promote_pending(self) -> None:
        path = self.directory / CERTIFICATE_FILE
        try:
            os.replace(self.directory / PENDING_FILE, path)
        except OSError as error:
            raise write_problem(path, error) from error
        sync_directory(self.directory)

    def _require(self, name: str, *, secret: bool = False) -> bytes:
        content = read_file(self.directory / name, secret=secret)
        if content is None:
            raise KeystoreProblem(
                f"{self.directory / name} is missing; restore the directory from a backup, or "
                "remove the state directory and let the node join again"
            )
        return content

    def _check_directory(self) -> None:
        try:
            status = self.directory.stat()
        except OSError as error:
            raise KeystoreProblem(f"{self.directory} can't be read: {error.strerror}") from error
        require_ours(self.directory, status, secret=False)

    def _make_directory(self) -> None:
        try:
            self.directory.mkdir(mode=0o755, parents=True, exist_ok=True)
        except OSError as error:
            raise write_problem(self.directory, error) from error

    def _unusable(self, problem: CertificateProblem) -> KeystoreProblem:
        return KeystoreProblem(
            f"the certificates in {self.directory} can't be used: {problem.message}; restore the "
            "directory from a backup, or remove the state directory and let the node join again"
        )


def _fits(cert_pem: bytes, key_pem: bytes) -> bool:
    try:
        require_matching_key(cert_pem, key_pem)
    except CertificateProblem:
        return False
    return True


def _sealed(key_pem: bytes, kek: bytes | None) -> bytes:
    if kek is None:
        return key_pem
    return load_key(key_pem).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(_password(kek)),
    )


def _unsealed(stored: bytes, kek: bytes | None, path: Path) -> bytes:
    """The key as PEM that isn't encrypted; a key stored openly needs no `kek`."""
    if _SEALED_MARK not in stored:
        return stored
    if kek is None:
        raise KeystoreLocked(f"{path} is locked; unlock this node with its unlock key")
    try:
        key = serialization.load_pem_private_key(stored, password=_password(kek))
    except (ValueError, TypeError) as error:
        raise KeystoreLocked(
            f"{path} can't be opened with this unlock key; the key is wrong, or the file is damaged"
        ) from error
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _password(kek: bytes) -> bytes:
    """The key-encryption key as text, so that other tools can open the file with it too."""
    return base64.b64encode(kek).rstrip(b"=")
