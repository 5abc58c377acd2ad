"""What all lists have in common: `--filter`, `--format`, `--quiet`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias, TypeVar

import click

from swarmd.cli.params import PAIR

F = TypeVar("F", bound=Callable[..., Any])
Filters: TypeAlias = tuple[tuple[str, str], ...]

LISTING: list[Any] = [
    click.option(
        "--format",
        "output",
        type=click.Choice(["table", "json"]),
        default="table",
        help="json prints one object per line.",
    ),
    click.option("-q", "--quiet", is_flag=True, help="Print ids only."),
    click.option(
        "-f",
        "--filter",
        "filters",
        multiple=True,
        type=PAIR,
        metavar="KEY=VALUE",
        help="Several values of a key are alternatives.",
    ),
]

INSPECTING: list[Any] = [
    click.option(
        "--format",
        "output",
        type=click.Choice(["json", "pretty"]),
        default="json",
        help="pretty is for people.",
    ),
    click.option("--pretty", "output", flag_value="pretty", help="The same as --format pretty."),
]


def options(*groups: list[Any]) -> Callable[[F], F]:
    """Give a command all flags of the groups, in their order."""

    def decorate(function: F) -> F:
        for option in reversed([option for group in groups for option in group]):
            function = option(function)
        return function

    return decorate


def require_known(filters: Filters, *keys: str) -> None:
    """Refuse filters that a list does not have.

    Raises:
        click.UsageError: naming those it has.
    """
    for key, _ in filters:
        if key not in keys:
            raise click.UsageError(f"unknown filter {key!r}; use {', '.join(keys)}")


def chosen(filters: Filters, **fields: str | Mapping[str, str]) -> bool:
    """Whether a row with these fields passes the filters.

    Names and ids match by their beginning, as Docker's do; labels by `key` or `key=value`;
    everything else whole. Underscores in field names stand for hyphens.
    """
    wanted: dict[str, list[str]] = {}
    for key, value in filters:
        wanted.setdefault(key, []).append(value)
    return all(
        _passes(key, fields[key.replace("-", "_")], values) for key, values in wanted.items()
    )


def _passes(key: str, value: str | Mapping[str, str], wanted: list[str]) -> bool:
    if not isinstance(value, str):
        return all(_has_label(value, label) for label in wanted)
    if key in ("id", "name"):
        return any(value.startswith(prefix) for prefix in wanted)
    return value.lower() in (word.lower() for word in wanted)


def _has_label(labels: Mapping[str, str], wanted: str) -> bool:
    key, equals, value = wanted.partition("=")
    return key in labels and (not equals or labels[key] == value)
