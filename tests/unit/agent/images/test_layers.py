"""Layers that try to get out, and layers that are damaged."""

from __future__ import annotations

import gzip
import io
import random

import pytest
from backports import zstd

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


PACKINGS = pytest.mark.parametrize(
    "pack", [bytes, gzip.compress, zstd.compress], ids=["plain", "gzip", "zstd"]
)


@PACKINGS
def test_an_ordinary_layer_passes(pack):
    check_layer(io.BytesIO(pack(FINE)))


def test_frames_of_zstd_one_after_the_other_are_one_layer():
    frames = zstd.compress(FINE[:3000]) + zstd.compress(FINE[3000:])
    check_layer(io.BytesIO(frames))


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
@PACKINGS
def test_an_entry_that_leads_out_is_named(pack, entry, sentence):
    with pytest.raises(BadImage) as refusal:
        check_layer(io.BytesIO(pack(layer([a_file("fine", b"1"), entry]))))
    assert sentence in str(refusal.value)


@pytest.mark.parametrize(
    "data",
    [
        gzip.compress(NOISE)[:-9000],
        b"no archive at all" * 100,
        gzip.compress(b"x" * 2000),
        zstd.compress(NOISE)[:-9000],
        zstd.compress(b"x" * 2000),
        zstd.compress(NOISE)[:4] + b"garbage" * 100,
    ],
    ids=["cut off", "no archive", "packed nonsense", "zstd cut off", "nonsense", "no frame"],
)
def test_a_damaged_layer_is_refused(data):
    with pytest.raises(BadImage, match="damaged"):
        check_layer(io.BytesIO(data))
