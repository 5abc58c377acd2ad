"""Secrets and configs: names, sizes, and which updates leave them what they are."""

from __future__ import annotations

import re

from swarmd.manager.validate.limits import Limit, as_bytes
from swarmd.manager.validate.names import check_labels
from swarmd.model.errors import Code, Rejection, invalid
from swarmd.model.secret import ConfigSpec, SecretSpec

NAME_LENGTH_MAX = 64
# Written without nested repetition, so that a hostile name cannot make matching slow.
_NAME = re.compile(r"[a-zA-Z0-9](?:[-_.a-zA-Z0-9]*[a-zA-Z0-9])?")
SECRET_BYTES = Limit("the secret's data", 1, 500 * 1024 - 1, show=as_bytes)
CONFIG_BYTES = Limit("the config's data", 1, 1000 * 1024 - 1, show=as_bytes)
TEMPLATING = ("", "golang")


def check_secret_spec(spec: SecretSpec) -> None:
    _check_name("secret", spec)
    if spec.driver is not None:
        if not spec.driver.name:
            raise invalid(f"the driver of secret {spec.name} has no name")
        raise Rejection(
            Code.UNIMPLEMENTED,
            f"secret {spec.name} comes from driver {spec.driver.name}, but secret drivers are not "
            "part of this version of swarmd; give its data",
        )
    SECRET_BYTES.check(len(spec.data))
    _check_templating("secret", spec)


def check_config_spec(spec: ConfigSpec) -> None:
    _check_name("config", spec)
    CONFIG_BYTES.check(len(spec.data))
    _check_templating("config", spec)


def check_secret_version(spec: SecretSpec) -> None:
    """What a new version of a secret may be; its name is given to it."""
    SECRET_BYTES.check(len(spec.data))
    _check_templating("secret", spec)
    check_labels("secret", spec.labels)


def check_config_version(spec: ConfigSpec) -> None:
    """Like `check_secret_version`."""
    CONFIG_BYTES.check(len(spec.data))
    _check_templating("config", spec)
    check_labels("config", spec.labels)


def check_secret_update(old: SecretSpec, new: SecretSpec) -> None:
    """Refuse anything but other labels; data that is left out stays as it is."""
    _check_update("secret", old, new)
    if new.driver is not None and new.driver != old.driver:
        raise invalid(f"secret {old.name} can't get another driver; create another secret")


def check_config_update(old: ConfigSpec, new: ConfigSpec) -> None:
    """Like `check_secret_update`."""
    _check_update("config", old, new)


def _check_name(kind: str, spec: SecretSpec | ConfigSpec) -> None:
    if not spec.name:
        raise invalid(f"{kind} name is missing: every {kind} needs one")
    if len(spec.name) > NAME_LENGTH_MAX:
        raise invalid(
            f"{kind} name is {len(spec.name)} characters long, the limit is {NAME_LENGTH_MAX}"
        )
    if not _NAME.fullmatch(spec.name):
        raise invalid(
            f"{kind} name {spec.name!r} is not valid: use letters, digits, '-', '_' and '.', "
            "beginning and ending with a letter or digit"
        )
    check_labels(kind, spec.labels)


def _check_templating(kind: str, spec: SecretSpec | ConfigSpec) -> None:
    name = spec.templating.name if spec.templating else ""
    if name not in TEMPLATING:
        raise invalid(f"{kind} {spec.name} asks for templating {name!r}; use golang")


def _check_update(kind: str, old: SecretSpec | ConfigSpec, new: SecretSpec | ConfigSpec) -> None:
    if new.name and new.name != old.name:
        raise invalid(f"{kind} {old.name} can't be renamed; only its labels can be changed")
    if new.data and new.data != old.data:
        raise invalid(
            f"the data of {kind} {old.name} can't be changed, only its labels; make a new version "
            f"with `swarmd {kind} update`"
        )
    if new.templating is not None and new.templating != old.templating:
        raise invalid(f"the templating of {kind} {old.name} can't be changed, only its labels")
    check_labels(kind, new.labels)
