"""What a user without privileges can do to have the kernel's part."""

from __future__ import annotations

import pytest

from swarmd.agent.dataplane.probe import rights


@pytest.mark.parametrize("settings", [{}, {"user.max_user_namespaces": "15000"}])
def test_where_users_may_make_user_namespaces_the_command_is_told(settings: dict[str, str]) -> None:
    assert "unshare -Urnm swarmd daemon" in rights(settings)


def test_where_they_may_not_the_setting_in_the_way_is_told() -> None:
    settings = {"user.max_user_namespaces": "0", "kernel.unprivileged_userns_clone": "1"}
    phrase = rights(settings)
    assert phrase.startswith("it takes root")
    assert phrase.endswith("allows none (sysctl user.max_user_namespaces=0)")
