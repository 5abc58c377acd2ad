"""Names of images, written out and read back."""

from __future__ import annotations

import pytest

from swarmd.model.reference import BadReference, parse

DIGEST = "sha256:" + "a" * 64


@pytest.mark.parametrize(
    ("text", "full", "familiar"),
    [
        ("nginx", "docker.io/library/nginx:latest", "nginx:latest"),
        ("nginx:1.27", "docker.io/library/nginx:1.27", "nginx:1.27"),
        ("team/app", "docker.io/team/app:latest", "team/app:latest"),
        ("index.docker.io/nginx:1", "docker.io/library/nginx:1", "nginx:1"),
        ("localhost/app:2", "localhost/app:2", "localhost/app:2"),
        ("host:5000/a/b:c", "host:5000/a/b:c", "host:5000/a/b:c"),
        ("r.test/app@" + DIGEST, "r.test/app@" + DIGEST, "r.test/app@" + DIGEST),
        ("app:1@" + DIGEST, f"docker.io/library/app:1@{DIGEST}", f"app:1@{DIGEST}"),
    ],
)
def test_a_name_is_written_out_and_still_said_briefly(text, full, familiar):
    reference = parse(text)
    assert str(reference) == full
    assert reference.familiar == familiar
    assert parse(full) == reference


@pytest.mark.parametrize(
    "text", ["", "UPPER", "a b", "a:", "a:b:c", "a@sha256:12", "a@md5:" + "a" * 64, "../a", "a//b"]
)
def test_what_names_no_image_is_refused(text):
    with pytest.raises(BadReference):
        parse(text)
