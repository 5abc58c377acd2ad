"""Layers that try to get out, and layers that are damaged."""

from __future__ import annotations

import gzip
import io
import random

import pytest

from swarmd.agent.images.layers import check_layer
from swarmd.agent.images.problems import BadImage
from tests.support.images import a_directory, a_file, a_link, layer

FINE = layer(
    [
        a_directory("etc"),
        a_file("etc/passwd", b"x" * 5000),
        a_file("/absolute", b"is taken from the root of the container"),
        a_link("lib", "../usr/lib"),
        a_link("hard", "etc/passwd", hard=True),
        a_file("etc/.wh.shadow"),
        a_file("opt/.wh..wh..opq"),
        a_file("..hidden/..name"),
    ]
)

NOISE = layer([a_file("noise", random.Random(1).randbytes(20_000))])


@pytest.mark.parametrize("data", [FINE, gzip.compress(FINE)], ids=["plain", "gzip"])
def test_an_ordinary_layer_passes(data):
    check_layer(io.BytesIO(data))


@pytest.mark.parametrize(
    ("entry", "sentence"),
    [
        (a_file("../evil"), "'../evil', which leads out of it"),
        (a_file("a/../../evil"), "which leads out of it"),
        (a_link("a", "../../etc/shadow", hard=True), "links 'a' to '../../etc/shadow'"),
        (a_file("a/.wh..."), "removes '..', which leads out of it"),
        (a_file(".wh."), "removes ''"),
    ],
)
def test_an_entry_that_leads_out_is_named(entry, sentence):
    with pytest.raises(BadImage) as refusal:
        check_layer(io.BytesIO(layer([a_file("fine", b"1"), entry])))
    assert sentence in str(refusal.value)


@pytest.mark.parametrize(
    "data",
    [gzip.compress(NOISE)[:-9000], b"no archive at all" * 100, gzip.compress(b"x" * 2000)],
    ids=["cut off", "no archive", "packed nonsense"],
)
def test_a_damaged_layer_is_refused(data):
    with pytest.raises(BadImage, match="damaged"):
        check_layer(io.BytesIO(data))
