"""Archives that are unpacked: where files land, what they are allowed to be, what is refused."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import pytest

from swarmd.agent.executors.unpacking import Refused, unpack

OF_THE_TIME = 1_700_000_000


def archive(*entries: tuple[tarfile.TarInfo, bytes]) -> io.BytesIO:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for info, data in entries:
            tar.addfile(info, io.BytesIO(data))
    packed.seek(0)
    return packed


def a_file(name: str, data: bytes = b"", mode: int = 0o644) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size, info.mode, info.mtime = len(data), mode, OF_THE_TIME
    info.uid = info.gid = 4321
    return info, data


def other(
    name: str, kind: bytes, linkname: str = "", mode: int = 0o755
) -> tuple[tarfile.TarInfo, bytes]:
    info, _ = a_file(name, mode=mode)
    info.type, info.linkname = kind, linkname
    return info, b""


def unpacked(
    source: io.BytesIO,
    into: Path,
    *,
    renamed: str = "",
    through_links: bool = False,
    keep_owner: bool = False,
    mode_mask: int = 0o755,
) -> None:
    into.mkdir(exist_ok=True)
    unpack(
        source,
        str(into),
        renamed=renamed,
        through_links=through_links,
        keep_owner=keep_owner,
        mode_mask=mode_mask,
    )


@pytest.fixture
def there(tmp_path: Path) -> Path:
    return tmp_path / "there"


def test_a_tree_is_unpacked_with_its_links_modes_and_times(there: Path) -> None:
    source = archive(
        other("top", tarfile.DIRTYPE, mode=0o500),
        a_file("top/run", b"#!/bin/sh\n", mode=0o755),
        other("top/link", tarfile.SYMTYPE, "run"),
        other("top/same", tarfile.LNKTYPE, "top/run"),
        other("top/queue", tarfile.FIFOTYPE),
    )
    unpacked(source, there)
    assert (there / "top" / "run").read_bytes() == b"#!/bin/sh\n"
    assert (there / "top" / "run").stat().st_mode & 0o777 == 0o755
    assert os.readlink(there / "top" / "link") == "run"
    assert (there / "top" / "same").stat().st_ino == (there / "top" / "run").stat().st_ino
    assert (there / "top" / "queue").is_fifo()
    assert (there / "top").stat().st_mode & 0o777 == 0o500
    assert (there / "top").stat().st_mtime == OF_THE_TIME
    assert source.read() == b""


@pytest.mark.parametrize(
    ("top", "renamed", "expected"),
    [
        pytest.param("etc", "", "etc/hosts", id="as it is"),
        pytest.param("etc", "new", "new/hosts", id="the top entry renamed"),
        pytest.param(".", "", "hosts", id="contents"),
        pytest.param(".", "new", "new/hosts", id="contents below a new name"),
    ],
)
def test_the_top_entry_decides_where_files_land(
    there: Path, top: str, renamed: str, expected: str
) -> None:
    unpacked(
        archive(other(top, tarfile.DIRTYPE), a_file(f"{top}/hosts", b"here")),
        there,
        renamed=renamed,
    )
    assert (there / expected).read_bytes() == b"here"


def test_names_from_the_root_are_taken_as_from_the_directory(there: Path) -> None:
    unpacked(archive(a_file("/etc/hosts", b"here")), there)
    assert (there / "etc" / "hosts").read_bytes() == b"here"


@pytest.mark.parametrize(
    "entry",
    [
        pytest.param(a_file("../out"), id="up"),
        pytest.param(a_file("a/../../out"), id="down and up"),
        pytest.param(other("inside", tarfile.LNKTYPE, "../out"), id="a hard link up"),
    ],
)
def test_no_name_leads_out(there: Path, entry: tuple[tarfile.TarInfo, bytes]) -> None:
    with pytest.raises(Refused, match="leads out"):
        unpacked(archive(entry), there)
    assert list(there.parent.iterdir()) == [there]


@pytest.mark.parametrize(
    "before",
    [
        pytest.param(True, id="a link that was there"),
        pytest.param(False, id="a link of the archive"),
    ],
)
def test_no_link_leads_out(tmp_path: Path, there: Path, before: bool) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    there.mkdir()
    entries = [a_file("link/file", b"gone astray")]
    if before:
        (there / "link").symlink_to(outside)
    else:
        entries.insert(0, other("link", tarfile.SYMTYPE, str(outside)))
    with pytest.raises(Refused, match="nothing is copied through it"):
        unpacked(archive(*entries), there)
    assert list(outside.iterdir()) == []


def test_links_are_followed_for_who_shares_the_root(tmp_path: Path, there: Path) -> None:
    (tmp_path / "run").mkdir()
    there.mkdir()
    (there / "var").symlink_to(tmp_path / "run")
    unpacked(archive(a_file("var/pid", b"1")), there, through_links=True)
    assert (tmp_path / "run" / "pid").read_bytes() == b"1"


def test_what_is_in_the_way_of_a_file_is_replaced_not_written_through(
    tmp_path: Path, there: Path
) -> None:
    (tmp_path / "kept").write_bytes(b"kept")
    there.mkdir()
    (there / "file").symlink_to(tmp_path / "kept")
    unpacked(archive(a_file("file", b"new")), there)
    assert (there / "file").read_bytes() == b"new"
    assert (tmp_path / "kept").read_bytes() == b"kept"
    assert not (there / "file").is_symlink()


def test_a_directory_and_a_file_do_not_replace_each_other(there: Path) -> None:
    (there / "directory").mkdir(parents=True)
    (there / "file").write_bytes(b"kept")
    with pytest.raises(Refused, match="is a directory"):
        unpacked(archive(a_file("directory")), there)
    with pytest.raises(Refused, match="is there and no directory"):
        unpacked(archive(other("file", tarfile.DIRTYPE)), there)
    assert (there / "file").read_bytes() == b"kept"


def test_devices_are_refused(there: Path) -> None:
    with pytest.raises(Refused, match="devices are not copied"):
        unpacked(archive(other("null", tarfile.CHRTYPE)), there)
    assert list(there.iterdir()) == []


def test_modes_are_no_more_than_allowed(there: Path) -> None:
    source = archive(a_file("strong", mode=0o6777), other("open", tarfile.DIRTYPE, mode=0o2777))
    unpacked(source, there, mode_mask=0o755)
    assert (there / "strong").stat().st_mode & 0o7777 == 0o755
    assert (there / "open").stat().st_mode & 0o7777 == 0o755


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to give files away")
@pytest.mark.parametrize(("keep_owner", "owner"), [(True, 4321), (False, 0)])
def test_owners_are_kept_when_that_is_wished(there: Path, keep_owner: bool, owner: int) -> None:
    unpacked(archive(a_file("file")), there, keep_owner=keep_owner)
    assert (there / "file").stat().st_uid == owner


def test_impossible_entries_are_refused_in_a_sentence(there: Path) -> None:
    info, data = a_file("file")
    info.mtime = 2.0**80
    with pytest.raises(Refused, match="cannot be"):
        unpacked(archive((info, data)), there)


def test_a_torn_archive_is_an_error(there: Path) -> None:
    whole = archive(a_file("file", bytes(5_000))).getvalue()
    with pytest.raises(tarfile.TarError):
        unpacked(io.BytesIO(whole[:2_000]), there)
