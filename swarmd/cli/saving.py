"""What a daemon sends, put into a file that is there as a whole or not at all."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import suppress

from swarmd.cli.errors import CliError


async def write_whole(portions: AsyncIterator[bytes], path: str | None) -> None:
    """Write to the file at `path`, replacing it at the end; None is standard output.

    Raises:
        CliError: the file can't be written, or there is something that is no file.
    """
    if path is None:
        async for data in portions:
            sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        return
    name = ""
    whole = os.path.realpath(path)
    if os.path.exists(whole) and not os.path.isfile(whole):
        raise CliError(f"{path} is no file that could be replaced")
    try:
        directory, base = os.path.split(whole)
        descriptor, name = tempfile.mkstemp(dir=directory, prefix=f".{base}.")
        with os.fdopen(descriptor, "wb") as file:
            async for data in portions:
                file.write(data)
        os.replace(name, whole)
        name = ""
    except OSError as error:
        raise CliError(f"{path} cannot be written: {error.strerror or error}") from None
    finally:
        if name:
            with suppress(FileNotFoundError):
                os.unlink(name)
