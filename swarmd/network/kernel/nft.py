"""nftables in this process: batches of nft's own language, each applied as a whole or not at all.

libnftables is called directly, since a process per batch costs ten times the batch. A batch speaks
to the network namespace of the thread that runs it: call these functions by `netns.inside`.

Whoever closes a socket to the kernel's tables waits until the kernel has cleared away what was
deleted before, ten times as long as a batch takes. So a thread of its own does that.
"""

from __future__ import annotations

import ctypes
import functools
import socket
import struct
from concurrent.futures import ThreadPoolExecutor

from swarmd.network.kernel import netns

_DEFAULT_FLAGS = 0
_STATELESS = 1 << 1  # leave out counters and other state
_NFNETLINK = 12
_NFTABLES_GETGEN = (10 << 8) | 16
_REQUEST = 1
_HEADER = struct.Struct("=LHHLLBBH")
_ATTRIBUTE = struct.Struct("=HH")
_GENERATION_ID = 1
ANSWER_BYTES = 4096


class NftError(Exception):
    """The kernel or the library refused a batch; nothing of it is in place."""


def run(batch: str) -> None:
    """Apply a batch.

    Raises:
        NftError: refused; the message is the first line of what nft says.
    """
    _run(batch, flags=_DEFAULT_FLAGS)


def listing(table: str) -> str:
    """A table such as `ip swarmd` as nft lists it, without counters; empty when there is none."""
    try:
        return _run(f"list table {table}", flags=_STATELESS)
    except NftError:
        return ""


def missing() -> str:
    """Why batches can't be run by this process; empty when they can. Says nothing of rights."""
    try:
        _library()
    except OSError:
        return "libnftables.so.1 is not installed (Debian: apt-get install nftables)"
    return ""


def settle_in() -> None:
    """Have the thread that clears away begin here, by a thread that is at home.

    To be called first where a thread that went elsewhere couldn't go home again.
    """
    _closer().submit(netns.go_home).result()


def generation() -> int:
    """The number of the namespace's present rule set; every change by anybody raises it.

    Raises:
        OSError: the kernel has no nftables.
    """
    sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NFNETLINK)
    try:
        sock.settimeout(1)
        sock.send(_HEADER.pack(_HEADER.size, _NFTABLES_GETGEN, _REQUEST, 1, 0, 0, 0, 0))
        answer = sock.recv(ANSWER_BYTES)
    finally:
        _closer().submit(sock.close)
    at = _HEADER.size
    while at + _ATTRIBUTE.size <= len(answer):
        size, kind = _ATTRIBUTE.unpack_from(answer, at)
        if kind == _GENERATION_ID:
            return int.from_bytes(answer[at + _ATTRIBUTE.size : at + size], "big")
        at += max((size + 3) & ~3, _ATTRIBUTE.size)
    raise OSError("the kernel did not tell the generation of its rules")


def _run(batch: str, *, flags: int) -> str:
    library = _library()
    context = library.nft_ctx_new(0)
    if not context:
        raise NftError("libnftables could not be set up: out of memory")
    try:
        library.nft_ctx_output_set_flags(context, flags)
        library.nft_ctx_buffer_output(context)
        library.nft_ctx_buffer_error(context)
        if library.nft_run_cmd_from_buffer(context, batch.encode()) != 0:
            said: bytes = library.nft_ctx_get_error_buffer(context) or b""
            lines = said.decode(errors="replace").splitlines()
            raise NftError(lines[0] if lines else "nft refused without a word")
        output: bytes = library.nft_ctx_get_output_buffer(context) or b""
        return output.decode(errors="replace")
    finally:
        _closer().submit(library.nft_ctx_free, context)


@functools.cache
def _closer() -> ThreadPoolExecutor:
    # It is first needed in some task's namespace, and must not keep that.
    return ThreadPoolExecutor(max_workers=1, thread_name_prefix="nft", initializer=netns.go_home)


@functools.cache
def _library() -> ctypes.CDLL:
    library = ctypes.CDLL("libnftables.so.1")
    library.nft_ctx_new.restype = ctypes.c_void_p
    library.nft_ctx_new.argtypes = [ctypes.c_uint32]
    library.nft_ctx_free.argtypes = [ctypes.c_void_p]
    library.nft_ctx_output_set_flags.argtypes = [ctypes.c_void_p, ctypes.c_uint]
    library.nft_run_cmd_from_buffer.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
    for name in ("nft_ctx_buffer_output", "nft_ctx_buffer_error"):
        getattr(library, name).argtypes = [ctypes.c_void_p]
    for name in ("nft_ctx_get_output_buffer", "nft_ctx_get_error_buffer"):
        function = getattr(library, name)
        function.argtypes = [ctypes.c_void_p]
        function.restype = ctypes.c_char_p
    return library
