"""Programs that keep logins to registries, `docker-credential-…`, asked in Docker's protocol.

The registry goes to the program's input, a JSON object comes from its output.
"""

from __future__ import annotations

import re
import subprocess

import msgspec

from swarmd.model import reference
from swarmd.model.registry_login import NOBODY, Credentials

DOCKER_HUB_KEY = "https://index.docker.io/v1/"
HELPER_S_MAX = 10.0
TOKEN_USER = "<token>"  # stands for a user name where the secret is a token
_NAME = re.compile(r"[a-zA-Z0-9._-]{1,64}")


class HelperFailed(Exception):
    """The program could not be asked; the message names it."""


class _Kept(msgspec.Struct, frozen=True, rename="pascal"):
    username: str = ""
    secret: str = ""


def is_name(helper: str) -> bool:
    """Whether a text can be the end of a helper's name; no path is."""
    return _NAME.fullmatch(helper) is not None


def keys_of(registry: str) -> tuple[str, ...]:
    """Under which names a login to a registry may be kept."""
    if registry == reference.DOCKER_HUB:
        return (DOCKER_HUB_KEY, "index.docker.io", "docker.io")
    return (registry, f"https://{registry}", f"http://{registry}")


def login_from(helper: str, registry: str) -> Credentials:
    """What a helper knows about a registry under any of its names, NOBODY if nothing. Blocks.

    Raises:
        HelperFailed
    """
    for key in keys_of(registry):
        found = login_under(helper, key)
        if found != NOBODY:
            return found
    return NOBODY


def login_under(helper: str, key: str) -> Credentials:
    """What a helper knows under one name; as `login_from` otherwise."""
    program = f"docker-credential-{helper}"
    try:
        answer = subprocess.run(
            [program, "get"],
            input=key.encode(),
            capture_output=True,
            timeout=HELPER_S_MAX,
            check=False,
        )
        if answer.returncode != 0:
            return NOBODY  # which is how helpers say that they know nothing
        kept = msgspec.json.decode(answer.stdout, type=_Kept)
    except FileNotFoundError:
        raise HelperFailed(f"{program} is not installed") from None
    except subprocess.TimeoutExpired:
        raise HelperFailed(f"{program} did not answer within {HELPER_S_MAX:g} s") from None
    except (OSError, msgspec.DecodeError) as error:
        raise HelperFailed(f"{program} does not answer: {error}") from None
    if kept.username == TOKEN_USER:
        return Credentials(identity_token=kept.secret)
    return Credentials(kept.username, kept.secret)
