"""Making one probe of a task: a command beside it, an HTTP request, a TCP connection.

A probe ends within its time, whatever the task does. Its failure is a result, not an error.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from pathlib import Path

from swarmd.agent.core.health import HealthPolicy, Kind, Result
from swarmd.agent.executors.session import Access, Command, NoSession
from swarmd.model.instant import SECOND, format_duration
from swarmd.network.kernel import netns
from swarmd.runtime.timeouts import timeout

OUTPUT_BYTES_MAX = 4096
STATUS_LINE_BYTES_MAX = 4096


async def probe(policy: HealthPolicy, access: Access, *, first_port: int) -> Result:
    """Look whether a task is well.

    Args:
        first_port: the port to ask where the policy names none; 0 when the service has none.
    """
    try:
        async with timeout(policy.timeout_ns / SECOND):
            if policy.kind is Kind.COMMAND:
                return await _command(policy, access)
            port = policy.port or first_port
            if not port:
                return Result(False, "the health check names no port, and the service has none")
            if policy.kind is Kind.HTTP:
                return await _http(access, port, policy.path)
            return await _tcp(access, port)
    except TimeoutError:
        return Result(False, f"no answer within {format_duration(policy.timeout_ns)}")


async def _command(policy: HealthPolicy, access: Access) -> Result:
    output = b""
    try:
        session = await access.run(Command(argv=policy.argv))
    except NoSession as error:
        return Result(False, str(error))
    try:
        while (chunk := await session.read()) is not None:
            # The end says what was wrong; the beginning of a flood does not.
            output = (output + chunk.data)[-OUTPUT_BYTES_MAX:]
        code = await session.wait()
    finally:
        await session.close()
    text = output.decode(errors="replace")
    if code and not text.strip():
        text = f"the command ended with {code}"
    return Result(code == 0, text)


async def _tcp(access: Access, port: int) -> Result:
    try:
        _, writer = await _connect(access, port)
    except OSError as error:
        return Result(False, _refused(port, error))
    await _hang_up(writer)
    return Result(True)


async def _http(access: Access, port: int, path: str) -> Result:
    host, _ = access.address_of(port)
    try:
        reader, writer = await _connect(access, port)
    except OSError as error:
        return Result(False, _refused(port, error))
    try:
        writer.write(
            f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nUser-Agent: swarmd-health\r\n"
            "Accept: */*\r\nConnection: close\r\n\r\n".encode()
        )
        line = await reader.readuntil(b"\n")
    except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        return Result(False, f"port {port} gives no HTTP answer")
    finally:
        await _hang_up(writer)
    version, _, rest = line.decode("latin-1").strip().partition(" ")
    if not version.startswith("HTTP/") or not rest[:3].isdigit():
        return Result(False, f"port {port} gives no HTTP answer")
    return Result(200 <= int(rest[:3]) < 400, f"{path} answered {rest}")


async def _connect(access: Access, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect from within the task's network: the node may have no way to it."""
    host, port = access.address_of(port)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET

    def make() -> socket.socket:
        sock = socket.socket(family, socket.SOCK_STREAM)
        sock.setblocking(False)
        return sock

    loop = asyncio.get_running_loop()
    making = loop.run_in_executor(None, netns.inside, _namespace(access.pid), make)
    try:
        sock = await asyncio.shield(making)
    except asyncio.CancelledError:
        making.add_done_callback(_close_made)  # the thread goes on, and nobody else will
        raise
    try:
        await loop.sock_connect(sock, (host, port))
        return await asyncio.open_connection(sock=sock, limit=STATUS_LINE_BYTES_MAX)
    except BaseException:
        sock.close()
        raise


def _close_made(making: asyncio.Future[socket.socket]) -> None:
    if not making.cancelled() and making.exception() is None:
        making.result().close()


def _namespace(pid: int) -> Path | None:
    """The network namespace of a process; None if it is the node's own, or nobody's any more."""
    path = Path(f"/proc/{pid}/ns/net")
    return None if not pid or netns.inode(path) in (None, netns.inode(None)) else path


async def _hang_up(writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


def _refused(port: int, error: OSError) -> str:
    return f"port {port} cannot be connected to: {error.strerror or error}"
