"""A pull as people see it: a bar while it lasts."""

from __future__ import annotations

import sys
from contextlib import aclosing
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from swarmd.cli.errors import CliError
from swarmd.rpc.pb import images as pb

PULL_S_MAX = 3600.0


async def pulled(stub: Any, request: pb.PullImageRequest, *, quiet: bool) -> pb.Image:
    """The image, once it is there; shows how far it has come on a terminal."""
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        console=Console(stderr=True),
        transient=True,
        disable=quiet or not sys.stderr.isatty(),
    )
    with bar:
        shown = bar.add_task(f"pulling {request.name}", total=None)
        async with aclosing(stub.Pull(request, timeout_s=PULL_S_MAX)) as answers:
            async for answer in answers:
                if answer.HasField("image"):
                    image: pb.Image = answer.image
                    return image
                word = "unpacking" if answer.unpacking else "pulling"
                bar.update(
                    shown,
                    description=f"{word} {request.name}"
                    + (f" ({answer.silence})" if answer.silence else ""),
                    completed=answer.bytes_done,
                    total=answer.bytes_total or None,
                )
    raise CliError(f"the daemon ended the pull of {request.name} before it was complete")
