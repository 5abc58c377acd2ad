"""Snapshots on the wire: serving one to a follower and fetching one from the leader.

A snapshot travels on a connection of its own, so it neither delays heartbeats nor has to fit
any buffer. It is decrypted by the sender and encrypted by the receiver, each with its own keys.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Iterator
from typing import TypeVar

import msgspec

from swarmd.raft.keys import KeyRing
from swarmd.raft.links import CONTROL_BYTES_MAX, Inbound, verified_manager
from swarmd.raft.members import Member
from swarmd.raft.messages import (
    LENGTH,
    BadFrame,
    FetchSnapshot,
    Goodbye,
    Message,
    SnapshotChunk,
    SnapshotHead,
    Welcome,
    decode_control,
    encode_frame,
)
from swarmd.raft.peers import split_address
from swarmd.raft.ports import Disk
from swarmd.raft.snapshot import SnapshotHeader, SnapshotInfo, SnapshotReader, SnapshotWriter
from swarmd.rpc.tls import MANAGER_NAME
from swarmd.runtime.timeouts import timeout

_BATCH_BYTES = 1 << 20
_CHUNK_BYTES_MAX = 80 << 20
_STALL_SECONDS = 10.0


M = TypeVar("M", bound=Message)


class TransferFailed(Exception):
    """The snapshot did not arrive; asking again is sensible."""


async def serve_snapshot(connection: Inbound, disk: Disk, keys: KeyRing, name: str) -> None:
    """Send snapshot `name`; ends early when the peer goes away."""
    reader = await asyncio.to_thread(SnapshotReader, disk, keys, name)
    chunks = reader.chunks()
    try:
        await connection.write(encode_frame(SnapshotHead(msgspec.msgpack.encode(reader.header))))
        while frames := await asyncio.to_thread(_next_frames, chunks):
            await connection.write(frames)
        await connection.write(encode_frame(SnapshotChunk(b"")))
        connection.finish()
    except ConnectionError:
        return
    finally:
        await asyncio.to_thread(_close, chunks)


def _next_frames(chunks: Iterator[bytes]) -> bytes:
    frames, total = [], 0
    for chunk in chunks:
        frames.append(encode_frame(SnapshotChunk(chunk)))
        total += len(chunk)
        if total >= _BATCH_BYTES:
            break
    return b"".join(frames)


def _close(chunks: Iterator[bytes]) -> None:
    # A generator that was never advanced does not run its `finally`; one step makes sure.
    for _ in chunks:
        break
    closer: Callable[[], None] = chunks.close  # type: ignore[attr-defined]
    closer()


async def fetch_snapshot(
    leader: Member,
    index: int,
    hello: bytes,
    client_ssl: Callable[[], ssl.SSLContext],
    disk: Disk,
    keys: KeyRing,
) -> SnapshotInfo:
    """Copy the leader's snapshot of `index`, or a newer one, into a durable file.

    Raises:
        TransferFailed: nothing remains of the attempt.
    """
    host, port = split_address(leader.address)
    try:
        async with timeout(_STALL_SECONDS):
            reader, writer = await asyncio.open_connection(
                host, port, ssl=client_ssl(), server_hostname=MANAGER_NAME, limit=_BATCH_BYTES * 4
            )
    except (OSError, TimeoutError) as error:
        raise TransferFailed(f"the leader cannot be reached: {error!r}") from None
    try:
        problem = verified_manager(writer.transport, leader.node_id)
        if problem is not None:
            raise TransferFailed(problem)
        writer.write(hello)
        await _expect(reader, Welcome)
        writer.write(encode_frame(FetchSnapshot(index)))
        head = await _expect(reader, SnapshotHead)
        header = msgspec.msgpack.decode(head.header, type=SnapshotHeader)
        if header.index < index:
            raise TransferFailed(f"the leader sent a snapshot of {header.index} only")
        return await _store(reader, disk, keys, header)
    except (OSError, TimeoutError, EOFError, BadFrame, msgspec.MsgspecError) as error:
        raise TransferFailed(f"the snapshot stream broke: {error!r}") from None
    finally:
        writer.transport.abort()


async def _store(
    reader: asyncio.StreamReader, disk: Disk, keys: KeyRing, header: SnapshotHeader
) -> SnapshotInfo:
    file = await asyncio.to_thread(SnapshotWriter, disk, keys, header)
    done = False
    try:
        chunks: list[bytes] = []
        total = 0
        while True:
            data = (await _expect(reader, SnapshotChunk)).data
            if data:
                chunks.append(data)
                total += len(data)
            if chunks and (not data or total >= _BATCH_BYTES):
                await asyncio.to_thread(_add_all, file, chunks)
                chunks, total = [], 0
            if not data:
                info = await asyncio.to_thread(file.finish)
                done = True
                return info
    finally:
        if not done:
            file.abandon()


def _add_all(file: SnapshotWriter, chunks: list[bytes]) -> None:
    for chunk in chunks:
        file.add(chunk)


async def _expect(reader: asyncio.StreamReader, kind: type[M]) -> M:
    async with timeout(_STALL_SECONDS):
        (length,) = LENGTH.unpack(await reader.readexactly(LENGTH.size))
        limit = _CHUNK_BYTES_MAX if kind is not Welcome else CONTROL_BYTES_MAX
        if length > limit:
            raise BadFrame(f"a frame of {length} bytes exceeds the limit of {limit}")
        message = decode_control(await reader.readexactly(length))
    if isinstance(message, Goodbye):
        raise TransferFailed(message.text)
    if not isinstance(message, kind):
        raise BadFrame(f"expected {kind.__name__}, got {type(message).__name__}")
    return message
