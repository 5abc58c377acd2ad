"""Running a handler to its end, for calls that need a task."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable
from typing import Any

from google.protobuf.message import DecodeError

from swarmd.model.errors import Code, Rejection
from swarmd.rpc.exchange import Exchange, Requests
from swarmd.rpc.router import Handler


def serialize(response: Any) -> bytes:
    """A response as bytes; bytes are taken as serialized already."""
    if isinstance(response, bytes):
        return response
    data: bytes = response.SerializeToString()
    return data


def parse(decode: Callable[[bytes], Any], message: bytes, path: str) -> Any:
    """The request in `message`.

    Raises:
        Rejection: it is no message of that type.
    """
    try:
        return decode(message)
    except DecodeError as error:
        raise Rejection(
            Code.INVALID_ARGUMENT, f"the request of {path} cannot be decoded: {error}"
        ) from error


async def answer(handler: Handler, exchange: Exchange) -> bytes | None:
    """Run `handler`; the messages of a stream are sent, a single response is returned."""
    method = handler.method
    argument: Any
    if method.client_streaming:
        argument = Requests(
            exchange, lambda message: parse(method.parse_request, message, method.path)
        )
    else:
        message = await exchange.receive()
        if message is None:
            raise Rejection(Code.INVALID_ARGUMENT, f"{method.path} was called without a request")
        argument = parse(method.parse_request, message, method.path)
    result = handler.function(exchange.call, argument)
    if inspect.iscoroutine(result):
        result = await result
    if not method.server_streaming:
        return serialize(result)
    # The generator's own clean-up must have run when the call is over, also when it is cancelled.
    async with contextlib.aclosing(result):
        async for response in result:
            await exchange.send(serialize(response))
    return None
