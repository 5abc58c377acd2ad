"""Mirrors of registries: what may be one."""

from __future__ import annotations

import pytest

from swarmd.model.mirrors import RegistryMirror, parse_mirror


def test_a_mirror_without_a_registry_is_of_docker_hub():
    assert parse_mirror("https://m.test/") == RegistryMirror("docker.io", "https://m.test")
    assert parse_mirror("reg.test:5000=http://127.0.0.1:5000") == RegistryMirror(
        "reg.test:5000", "http://127.0.0.1:5000"
    )


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("http://m.test", "only https is"),
        ("ftp://m.test", "only https is"),
        ("m.test", "is no mirror"),
        ("https://", "is no mirror"),
        ("https://me:pw@m.test", "is no mirror"),
        ("https://m.test:port", "is no mirror"),
        ("a/b=https://m.test", "is no registry"),
    ],
)
def test_what_is_no_mirror_is_refused(text, sentence):
    with pytest.raises(ValueError, match=sentence):
        parse_mirror(text)
