"""The keys that protect a member's files.

Data-encryption keys (DEK) encrypt; the key-encryption key (KEK) wraps them in the file `keys`.
With autolock the operator holds the KEK and gives it at start; without, it lies beside the
state in the file `kek`, which protects copies of single files but not of the directory.
Rotating the KEK rewraps one small file. Rotating the DEK adds a key; older ones stay as long as
a file encrypted with them does.
"""

from __future__ import annotations

import os
import zlib

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from swarmd.raft.errors import Damaged, WrongKey
from swarmd.raft.ports import Disk

KEYS_FILE = "keys"
KEK_FILE = "kek"
_KEY_BYTES = 32
_NONCE_BYTES = 12


class _Wrapped(msgspec.Struct, frozen=True, array_like=True):
    key_id: int
    nonce: bytes
    ciphertext: bytes


class _KeysFile(msgspec.Struct, frozen=True, array_like=True):
    format: int
    current: int
    keys: tuple[_Wrapped, ...]


def derive(key: bytes, salt: bytes, purpose: bytes) -> bytes:
    """An independent key for one file or purpose."""
    return HKDF(hashes.SHA256(), _KEY_BYTES, salt, b"swarmd raft " + purpose).derive(key)


class KeyRing:
    """The data keys of one member, opened with its key-encryption key."""

    def __init__(self, disk: Disk, kek: bytes, keys: dict[int, bytes], current: int) -> None:
        self._disk, self._kek, self._keys = disk, kek, keys
        self.current_id = current

    def __repr__(self) -> str:
        return f"KeyRing(current={self.current_id}, keys={sorted(self._keys)}, secrets hidden)"

    @classmethod
    def create(cls, disk: Disk, kek: bytes | None) -> KeyRing:
        """New keys for a new member."""
        ring = cls(disk, _own_kek(disk) if kek is None else kek, {}, 0)
        ring._add_key()
        ring._store()
        if kek is not None:
            disk.remove(KEK_FILE)
        return ring

    @classmethod
    def open(cls, disk: Disk, kek: bytes | None) -> KeyRing:
        """The keys of an existing member.

        Raises:
            WrongKey: `kek` does not open them, or is needed and None.
            Damaged: a file is missing or is not what was written.
        """
        if KEYS_FILE not in disk.names():
            raise Damaged("the file of wrapped data keys is missing")
        data = disk.read(KEYS_FILE)
        body, checksum = data[:-4], data[-4:]
        if len(data) < 4 or zlib.crc32(body).to_bytes(4, "big") != checksum:
            raise Damaged("the file of wrapped data keys is damaged")
        stored = msgspec.msgpack.decode(body, type=_KeysFile)
        if stored.format != 1:
            raise Damaged(f"the key file has format {stored.format}; this version reads format 1")
        stored_beside = kek is None
        if kek is None:
            if KEK_FILE not in disk.names():
                raise WrongKey("this manager is locked: its key-encryption key must be given")
            kek = disk.read(KEK_FILE)
            if len(kek) != _KEY_BYTES:
                raise Damaged(f"the file {KEK_FILE} is damaged")
        keys = {}
        for wrapped in stored.keys:
            aad = f"dek {wrapped.key_id}".encode()
            try:
                keys[wrapped.key_id] = _wrapper(kek).decrypt(wrapped.nonce, wrapped.ciphertext, aad)
            except InvalidTag:
                if stored_beside:
                    raise Damaged(f"the file {KEK_FILE} is damaged") from None
                raise WrongKey("the key given does not unlock this manager's state") from None
        return cls(disk, kek, keys, stored.current)

    def key(self, key_id: int, salt: bytes, purpose: bytes) -> bytes:
        """The key of one file.

        Raises:
            Damaged: no such data key is known.
        """
        if key_id not in self._keys:
            raise Damaged(f"a file was encrypted with data key {key_id}, which is not known")
        return derive(self._keys[key_id], salt, purpose)

    def rotate_dek(self) -> None:
        """Encrypt from now on with a fresh data key. Files in use keep theirs."""
        self._add_key()
        self._store()

    def forget(self, used: set[int]) -> None:
        """Drop data keys that no remaining file was encrypted with."""
        kept = {i: k for i, k in self._keys.items() if i in used or i == self.current_id}
        if kept != self._keys:
            self._keys = kept
            self._store()

    def rotate_kek(self, kek: bytes | None) -> None:
        """Wrap the data keys with `kek`; None goes back to a key stored beside the state.

        The new KEK opens the state once this returns; after a crash before that, the old one does.
        """
        if kek is None:
            self._kek = _own_kek(self._disk)
            self._store()
        else:
            self._kek = kek
            self._store()
            self._disk.remove(KEK_FILE)

    def _add_key(self) -> None:
        self.current_id = max(self._keys, default=0) + 1
        self._keys[self.current_id] = os.urandom(_KEY_BYTES)

    def _store(self) -> None:
        wrapper, wrapped = _wrapper(self._kek), []
        for key_id, key in sorted(self._keys.items()):
            nonce = os.urandom(_NONCE_BYTES)
            aad = f"dek {key_id}".encode()
            wrapped.append(_Wrapped(key_id, nonce, wrapper.encrypt(nonce, key, aad)))
        body = msgspec.msgpack.encode(_KeysFile(1, self.current_id, tuple(wrapped)))
        self._disk.replace(KEYS_FILE, body + zlib.crc32(body).to_bytes(4, "big"))


def _own_kek(disk: Disk) -> bytes:
    if KEK_FILE in disk.names():
        return disk.read(KEK_FILE)
    kek = os.urandom(_KEY_BYTES)
    disk.replace(KEK_FILE, kek)
    return kek


def _wrapper(kek: bytes) -> AESGCM:
    return AESGCM(derive(kek, b"", b"kek"))
