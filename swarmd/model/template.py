"""Templates in task specs: `{{.Task.Slot}}` and its kin, a small part of Go's template language.

An action is a path (`.Service.Name`), `index .Service.Labels "key"`, `join "sep" a b …` or a
quoted string; in secrets and configs also `secret "name"`, `config "name"` and `env "NAME"`.
`{{-` and `-}}` trim the white space beside them. Everything else is an error, also a
label that is not there: a service that starts with half a value is worse than one that says why it
does not start. The API expands every spec once with dummy values, so that faults show on creation;
the agent expands it with the real ones.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from msgspec.structs import replace

from swarmd.model.record import Record
from swarmd.model.spec import ContainerSpec, Mount
from swarmd.model.task import Task

# Quoted strings are matched as a whole, so that one may contain the closing braces.
_ACTION = re.compile(r'\{\{((?:"(?:\\.|[^"\\])*"|[^"])*?)\}\}', re.DOTALL)
_TOKEN = re.compile(r'\s*("(?:\\.|[^"\\])*"|`[^`]*`|[^\s"`]+)')
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "\\": "\\", '"': '"'}


class TemplateError(ValueError):
    """A template that cannot be expanded; the message says which part and why."""


class TemplateContext(Record, frozen=True):
    """What templates may refer to."""

    service_id: str = ""
    service_name: str = ""
    service_labels: Mapping[str, str] = {}
    node_id: str = ""
    node_hostname: str = ""
    platform_os: str = ""
    platform_architecture: str = ""
    task_id: str = ""
    task_name: str = ""
    task_slot: str = ""  # the node's id for a task without a slot
    task_ordinal: str = ""  # the slot counted from 0, empty for a task without a slot


def template_context(
    task: Task, *, node_id: str, hostname: str, os: str, arch: str
) -> TemplateContext:
    """What the templates of a task refer to on the node it is on."""
    return TemplateContext(
        service_id=task.service_id,
        service_name=task.service_name,
        service_labels=task.service_labels,
        node_id=node_id,
        node_hostname=hostname,
        platform_os=os,
        platform_architecture=arch,
        task_id=task.id,
        task_name=task.name,
        task_slot=str(task.slot) if task.slot else node_id,
        task_ordinal=str(task.ordinal) if task.slot else "",
    )


_PATHS: dict[str, Callable[[TemplateContext], str]] = {
    ".Service.ID": lambda context: context.service_id,
    ".Service.Name": lambda context: context.service_name,
    ".Node.ID": lambda context: context.node_id,
    ".Node.Hostname": lambda context: context.node_hostname,
    ".Node.Platform.OS": lambda context: context.platform_os,
    ".Node.Platform.Architecture": lambda context: context.platform_architecture,
    ".Task.ID": lambda context: context.task_id,
    ".Task.Name": lambda context: context.task_name,
    ".Task.Slot": lambda context: context.task_slot,
    ".Task.Ordinal": lambda context: context.task_ordinal,
}
_LABELS = ".Service.Labels"
Function = Callable[[str], str]
_NO_FUNCTIONS: Mapping[str, Function] = {}


def expand(
    text: str, context: TemplateContext, functions: Mapping[str, Function] = _NO_FUNCTIONS
) -> str:
    """`text` with every action replaced by its value.

    Args:
        functions: of one argument, by name, on top of those that every template has; they raise
            TemplateError for an argument they have no answer to.

    Raises:
        TemplateError: an action is malformed, or names something unknown or missing.
    """
    if "{{" not in text:
        return text
    parts: list[str] = []
    position, trim = 0, False
    for match in _ACTION.finditer(text):
        parts.append(_literal(text, position, match.start(), trim_left=trim))
        body = match[1]
        if body.startswith("-") and body[1:2].isspace():
            body = body[1:]
            parts[-1] = parts[-1].rstrip()
        trim = body.endswith("-") and body[-2:-1].isspace()
        parts.append(_evaluate(body.removesuffix("-") if trim else body, context, functions))
        position = match.end()
    parts.append(_literal(text, position, len(text), trim_left=trim))
    return "".join(parts)


def _literal(text: str, start: int, end: int, *, trim_left: bool) -> str:
    literal = text[start:end]
    if "{{" in literal:
        raise TemplateError(f"template {text!r} opens '{{{{' without closing it")
    return literal.lstrip() if trim_left else literal


def _evaluate(body: str, context: TemplateContext, functions: Mapping[str, Function]) -> str:
    tokens = _tokens(body)
    match tokens:
        case []:
            raise TemplateError("template '{{}}' is empty: put a value such as .Task.Slot into it")
        case ["join", separator, *values]:
            return _value(separator, context).join(_value(value, context) for value in values)
        case ["index", path, key] if path == _LABELS:
            return _label(_value(key, context), context)
        case ["index", *_]:
            raise TemplateError(f'template index takes {_LABELS} and a key, as in {_LABELS} "tier"')
        case [name, argument] if name in functions:
            return functions[name](_value(argument, context))
        case [single] if single not in functions:
            return _value(single, context)
        case [name, *_]:
            if name in functions:
                raise TemplateError(f"template function {name} takes one argument")
            known = ", ".join(("index", "join", *functions))
            raise TemplateError(f"template function {name!r} is unknown; there are {known}")
    raise AssertionError(f"unreachable: {tokens}")


def _tokens(body: str) -> list[str]:
    tokens, position, stripped = [], 0, body.rstrip()
    while position < len(stripped):
        match = _TOKEN.match(stripped, position)
        if match is None:
            raise TemplateError(f"template '{{{{{body}}}}}' has a quote that does not end")
        tokens.append(match[1])
        position = match.end()
    return tokens


def _value(token: str, context: TemplateContext) -> str:
    if token[0] == "`":
        return token[1:-1]
    if token[0] == '"':
        return re.sub(r"\\(.)", lambda match: _ESCAPES.get(match[1], match[0]), token[1:-1])
    if token.startswith(_LABELS + "."):
        return _label(token.removeprefix(_LABELS + "."), context)
    path = _PATHS.get(token)
    if path is None:
        raise TemplateError(
            f"template value {token!r} is unknown; there are {', '.join(_PATHS)} "
            f'and index {_LABELS} "key"'
        )
    return path(context)


def _label(key: str, context: TemplateContext) -> str:
    if key not in context.service_labels:
        raise TemplateError(f"template refers to label {key!r}, which the service does not have")
    return context.service_labels[key]


def expand_container(spec: ContainerSpec, context: TemplateContext) -> ContainerSpec:
    """`spec` with its templates expanded: values of env, hostname, command, args, dir, mounts.

    Raises:
        TemplateError: the message names the field.
    """
    return replace(
        spec,
        env=tuple(_expand_env(item, context) for item in spec.env),
        hostname=_expand_field("hostname", spec.hostname, context),
        command=tuple(_expand_field("command", word, context) for word in spec.command),
        args=tuple(_expand_field("args", word, context) for word in spec.args),
        dir=_expand_field("dir", spec.dir, context),
        mounts=tuple(_expand_mount(mount, context) for mount in spec.mounts),
    )


def _expand_mount(mount: Mount, context: TemplateContext) -> Mount:
    """Source, target, and what a volume of the task's own making has as labels and options."""

    def values(pairs: Mapping[str, str]) -> dict[str, str]:
        return {key: _expand_field(f"mount {key}", text, context) for key, text in pairs.items()}

    volume = mount.volume_options
    if volume is not None:
        driver = volume.driver_config
        volume = replace(
            volume,
            labels=values(volume.labels),
            driver_config=driver and replace(driver, options=values(driver.options)),
        )
    return replace(
        mount,
        source=_expand_field("mount source", mount.source, context),
        target=_expand_field("mount target", mount.target, context),
        volume_options=volume,
    )


def _expand_env(item: str, context: TemplateContext) -> str:
    name, equals, value = item.partition("=")
    return f"{name}{equals}{_expand_field(f'env {name}', value, context)}"


def _expand_field(field: str, text: str, context: TemplateContext) -> str:
    try:
        return expand(text, context)
    except TemplateError as error:
        raise TemplateError(f"{field}: {error}") from None
