"""The spec that creation starts from: what to run, where, under which name."""

from __future__ import annotations

import re

from swarmd.cli.mode_options import empty_mode
from swarmd.model.spec import ContainerSpec, ServiceSpec, TaskSpec
from swarmd.runtime.chance import RandomIds

NAME_LENGTH_MAX = 50
SUFFIX_LENGTH = 4


def empty_spec(*, name: str, words: tuple[str, ...], process: bool, mode: str) -> ServiceSpec:
    """A spec for the words of the command line: a whole command, or an image with arguments."""
    if process:
        container = ContainerSpec(command=words)
    else:
        container = ContainerSpec(image=words[0], args=words[1:])
    task = TaskSpec(container_spec=container)
    return ServiceSpec(name=name, task_template=task, mode=empty_mode(mode))


def generated_name(program: str) -> str:
    """A name that tells what runs, with four characters that keep it apart from others."""
    base = program.rpartition("/")[2].partition("@")[0].partition(":")[0]
    stem = re.sub(r"[^a-zA-Z0-9]+", "-", base).strip("-")[:NAME_LENGTH_MAX].strip("-")
    return f"{stem or 'service'}-{RandomIds().new()[:SUFFIX_LENGTH]}"
