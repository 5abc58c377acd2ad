"""Arbitrary records for property tests, made from the fields the record types declare."""

from __future__ import annotations

import types
from enum import Enum
from functools import cache, partial
from typing import Any, NewType, TypeVar, Union, get_args, get_origin, get_type_hints

import msgspec
from hypothesis import strategies as st

from swarmd.model.spec import GenericResource, TaskSpec

R = TypeVar("R")

WORDS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8)
LARGEST_DURATION_NS = 10**17
PORTS = st.integers(0, 65535)
RATIOS = st.sampled_from([0.0, 0.1, 0.25, 0.333, 0.5, 1.0])
SIGNED = frozenset({"exit_code", "task_history_retention_limit", "priority"})
# Records of which exactly one member is set.
CHOICES = frozenset({GenericResource})
# Records of which at most one of these members is set.
ALTERNATIVES: dict[type, tuple[str, ...]] = {TaskSpec: ("container_spec", "attachment")}


def records(record_type: type[R], **fixed: st.SearchStrategy[Any]) -> st.SearchStrategy[R]:
    """Any value of `record_type`; `fixed` replaces the choice for single fields."""
    hints = get_type_hints(record_type)
    if record_type in CHOICES:
        return st.one_of(
            *(
                _values(hint, name).filter(_is_set).map(partial(_chosen, record_type, name))
                for name, hint in hints.items()
            )
        )
    always, sometimes = dict(fixed), {}
    for field in msgspec.structs.fields(record_type):
        if field.name not in fixed:
            kind = always if field.required else sometimes
            kind[field.name] = _values(hints[field.name], field.name)
    return _sparse(record_type, always, sometimes)


@st.composite
def _sparse(
    draw: st.DrawFn,
    record_type: type[R],
    always: dict[str, st.SearchStrategy[Any]],
    sometimes: dict[str, st.SearchStrategy[Any]],
) -> R:
    """A record with a few fields set: drawing all, at every depth, would take minutes."""
    names = sorted(sometimes)
    some = draw(st.lists(st.sampled_from(names), unique=True, max_size=6)) if names else []
    rivals = [name for name in (*always, *some) if name in ALTERNATIVES.get(record_type, ())]
    some = [name for name in some if name not in rivals[1:]]
    chosen = {name: draw(strategy) for name, strategy in always.items()}
    return record_type(**chosen, **{name: draw(sometimes[name]) for name in some})


def _is_record(hint: Any) -> bool:
    return isinstance(hint, type) and issubclass(hint, msgspec.Struct)


def _is_set(value: object) -> bool:
    return value is not None


def _chosen(record_type: type[R], name: str, value: object) -> R:
    return record_type(**{name: value})


@cache
def _values(hint: Any, name: str) -> st.SearchStrategy[Any]:
    origin, arguments = get_origin(hint), get_args(hint)
    if isinstance(hint, NewType):
        return _values(hint.__supertype__, name)
    if origin in (Union, types.UnionType):
        return st.one_of(*(_values(argument, name) for argument in reversed(arguments)))
    if origin is tuple:
        # Records within records within records would take Hypothesis minutes to draw.
        most = 1 if _is_record(arguments[0]) else 2
        return st.lists(_values(arguments[0], name), max_size=most).map(tuple)
    if origin is not None and hasattr(origin, "keys"):
        return st.dictionaries(WORDS, _values(arguments[1], name), max_size=3)
    if hint is type(None):
        return st.none()
    if issubclass(hint, Enum):
        return st.sampled_from(sorted(hint, key=lambda word: word.name))
    if issubclass(hint, msgspec.Struct):
        return records(hint)
    return _scalars(hint, name)


def _scalars(hint: type, name: str) -> st.SearchStrategy[Any]:
    if hint is int and name.endswith("_port"):
        return PORTS
    if hint is int and name == "weight":
        return st.integers(1, 100)
    if hint is int and name in {"pid", "exit_code", "mode", "retries", "unready_after"}:
        return st.integers(-(2**31) if name in SIGNED else 0, 2**31 - 1)
    if hint is int:
        low = -LARGEST_DURATION_NS if name in SIGNED else 0
        return st.integers(low, LARGEST_DURATION_NS)
    by_type: dict[type, st.SearchStrategy[Any]] = {
        str: WORDS,
        bytes: st.binary(max_size=8),
        float: RATIOS,
        bool: st.booleans(),
    }
    return by_type[hint]
