"""Who a container runs as, by the image's own files."""

from __future__ import annotations

import pytest

from swarmd.agent.oci.users import ImageAccount, UnknownUser, look_up

PASSWD = "root:x:0:0:root:/root:/bin/sh\nweb:x:1000:1001::/srv:/bin/sh\n# a comment\nbad:x:y:z::\n"
GROUP = "root:x:0:\nweb:x:1001:\nextra:x:2000:other,web\nstaff:x:50:\n"


@pytest.mark.parametrize(
    ("user", "groups", "account"),
    [
        ("", (), ImageAccount(0, 0, (0,), "/root")),
        ("web", (), ImageAccount(1000, 1001, (1001, 2000), "/srv")),
        ("1000", (), ImageAccount(1000, 1001, (1001, 2000), "/srv")),
        ("web:staff", (), ImageAccount(1000, 50, (50,), "/srv")),
        ("web", ("staff", "77"), ImageAccount(1000, 1001, (1001, 2000, 50, 77), "/srv")),
        ("4242", (), ImageAccount(4242, 0, (0,), "/")),
        ("4242:4343", (), ImageAccount(4242, 4343, (4343,), "/")),
    ],
)
def test_names_and_ids_are_found(user, groups, account):
    assert look_up(user, groups, passwd=PASSWD, group=GROUP) == account


@pytest.mark.parametrize(
    ("user", "groups"),
    [("nobody", ()), ("bad", ()), ("web:none", ()), ("web", ("none",)), ("99999999999", ())],
)
def test_who_is_not_in_the_image_is_named(user, groups):
    with pytest.raises(UnknownUser):
        look_up(user, groups, passwd=PASSWD, group=GROUP)


def test_an_image_without_users_has_root():
    assert look_up("", (), passwd="", group="") == ImageAccount(0, 0, (0,), "/root")
