"""The leader's part in logins that a program tells: asks for them, and keeps what has changed.

Passwords of some registries are good for hours. A login that names a credential helper is asked
for again and again, so that the swarm holds one that is good whenever a task is placed anew.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from msgspec.structs import replace

from swarmd.manager.control.core import SubmitsTransactions
from swarmd.manager.credential_helper import HelperFailed, login_from
from swarmd.model.errors import Rejection, failed_precondition
from swarmd.model.registry_login import (
    HELPER,
    NOBODY,
    Credentials,
    login_secret,
    registry_of_login,
)
from swarmd.model.secret import Secret
from swarmd.store.changes import Transaction, Update
from swarmd.store.view import View

log = logging.getLogger(__name__)

# Shorter than any password's life; helpers keep what is still good, and nothing is written then.
RENEW_S = 300.0


class LoginRenewal:
    """Asks helpers on this machine.

    Args:
        ask: what a helper knows about a registry; blocks, and runs in a thread.
    """

    def __init__(
        self,
        view: View,
        writer: SubmitsTransactions,
        *,
        ask: Callable[[str, str], Credentials] = login_from,
    ) -> None:
        self._view = view
        self._writer = writer
        self._ask = ask
        # Why a registry's login could not be renewed when that was tried last.
        self.problems: dict[str, str] = {}

    async def told(self, helper: str, registry: str) -> Credentials:
        """The login as the helper knows it just now.

        Raises:
            Rejection: it does not say.
        """
        try:
            found = await asyncio.to_thread(self._ask, helper, registry)
        except HelperFailed as error:
            raise failed_precondition(f"on the leader, {error}") from None
        if found == NOBODY:
            raise failed_precondition(
                f"docker-credential-{helper} of the leader knows no login to {registry}"
            )
        return found

    async def run(self) -> None:
        """Renew what has changed, again and again, until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(RENEW_S)

    async def look(self) -> None:
        """Ask for every login that has a helper."""
        for secret in tuple(self._view.secrets()):
            registry = registry_of_login(secret)
            helper = secret.spec.labels.get(HELPER, "")
            if registry and helper:
                await self._renew(secret, registry, helper)

    async def _renew(self, secret: Secret, registry: str, helper: str) -> None:
        try:
            credentials = await self.told(helper, registry)
            wanted = login_secret(registry, credentials, helper=helper)
            if wanted.spec != secret.spec:
                renewed = replace(secret, spec=wanted.spec)
                reason = f"docker-credential-{helper} tells another login to {registry}"
                await self._writer.submit(
                    Transaction((Update(renewed, base=secret.version, reason=reason),))
                )
                log.info("login.renewed registry=%s helper=%s", registry, helper)
        except Rejection as rejection:
            if self.problems.get(registry) != rejection.message:
                log.warning("login.not_renewed registry=%s reason=%s", registry, rejection.message)
            self.problems[registry] = rejection.message
        else:
            self.problems.pop(registry, None)
