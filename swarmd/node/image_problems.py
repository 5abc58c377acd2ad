"""What can go wrong with images, as answers to calls."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from swarmd.agent.executors.containerd.engine import EngineDown
from swarmd.agent.images.cleaner import NotKnown
from swarmd.agent.images.problems import BadImage, NoSuchImage, Unreachable
from swarmd.model.errors import Code, Rejection, invalid
from swarmd.model.reference import BadReference
from swarmd.model.registry_login import BadCredentials
from swarmd.rpc.errors import RpcError


@contextmanager
def explained() -> Iterator[None]:
    """Turn what can go wrong with images into rejections."""
    try:
        yield
    except (BadImage, BadReference, BadCredentials) as error:
        raise invalid(str(error)) from None
    except NoSuchImage as error:
        raise Rejection(Code.NOT_FOUND, str(error)) from None
    except (Unreachable, EngineDown, RpcError, NotKnown, OSError) as error:
        raise Rejection(Code.UNAVAILABLE, str(error)) from None
