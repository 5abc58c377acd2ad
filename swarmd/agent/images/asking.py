"""Requests to registries, and their answers read with an eye on the clock; everything here blocks.

A registry may take long for an image, but not be silent for long, nor take long for a document.
"""

from __future__ import annotations

import http.client
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from urllib.parse import urlsplit

from swarmd.agent.images.problems import BadImage, Unreachable

SILENCE_S_MAX = 15.0
DOCUMENT_S_MAX = 60.0
CHUNK_BYTES = 256 * 1024


def send(request: urllib.request.Request, silence_s: float) -> http.client.HTTPResponse:
    """The answer to a request, once it begins.

    Raises:
        Unreachable: there is none.
        urllib.error.HTTPError: it is a refusal.
    """
    try:
        answer: http.client.HTTPResponse = urllib.request.urlopen(request, timeout=silence_s)
        return answer
    except urllib.error.HTTPError:
        raise
    except (urllib.error.URLError, OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        host = urlsplit(request.full_url).netloc
        if isinstance(reason, TimeoutError):
            raise Unreachable(f"{host} said nothing for {silence_s:g} s; will try again") from None
        raise Unreachable(f"{host} cannot be reached: {reason}; will try again") from None


def read_document(answer: http.client.HTTPResponse, limit: int) -> bytes:
    """All of an answer that is not to have more than `limit` bytes.

    Raises:
        BadImage: it has.
        Unreachable: it broke off, or takes too long.
    """
    data = bytearray()
    deadline = time.monotonic() + DOCUMENT_S_MAX
    try:
        for piece in pieces(answer):
            data += piece
            if len(data) > limit:
                raise BadImage(f"the registry sends a document of more than {limit} bytes")
            if time.monotonic() > deadline:
                raise BrokenOff(f"took more than {DOCUMENT_S_MAX:g} s")
    except BrokenOff as error:
        raise Unreachable(
            f"the registry {error} in the middle of a document; will try again"
        ) from None
    return bytes(data)


class BrokenOff(Exception):
    """An answer ended before its end; the message says how, as in "it fell silent"."""


def pieces(answer: http.client.HTTPResponse) -> Iterator[bytes]:
    """An answer as it comes, to the end that was announced.

    Raises:
        BrokenOff
    """
    try:
        while piece := answer.read1(CHUNK_BYTES):
            yield piece
    except TimeoutError:
        raise BrokenOff("fell silent") from None
    except (OSError, http.client.HTTPException):
        raise BrokenOff("broke off") from None
    if answer.length:
        raise BrokenOff("broke off")
