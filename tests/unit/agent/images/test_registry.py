"""Registries that lie, break off, redirect and ask for tokens, on the loopback."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread

import pytest

from swarmd.agent.images.manifest import Descriptor
from swarmd.agent.images.problems import BadImage, NoSuchImage, Unreachable
from swarmd.agent.images.registry import Registry
from swarmd.model.reference import parse
from swarmd.model.registry_login import Credentials

CONTENT = bytes(range(256)) * 400
BLOB = Descriptor(digest=f"sha256:{hashlib.sha256(CONTENT).hexdigest()}", size=len(CONTENT))

Answer = Callable[["Asked"], None]


class Asked(BaseHTTPRequestHandler):
    """One request; the server's `answer` decides what becomes of it."""

    protocol_version = "HTTP/1.1"
    server: Scripted

    def do_GET(self) -> None:
        self.server.seen.append((self.path, dict(self.headers)))
        self.server.answer(self)

    def reply(
        self, code: int, body: bytes = b"", length: int | None = None, **headers: str
    ) -> None:
        self.send_response(code)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: the tests look at what was seen."""


class Scripted(ThreadingHTTPServer):
    seen: list[tuple[str, dict[str, str]]]
    answer: Answer

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.server_address[1]}"

    def registry(self, credentials: Credentials = Credentials()) -> Registry:  # noqa: B008
        return Registry(parse(f"{self.host}/app:1"), credentials)


@pytest.fixture
def server() -> Iterator[Scripted]:
    with Scripted(("127.0.0.1", 0), Asked) as running:
        running.seen = []
        thread = Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def test_a_blob_that_broke_off_goes_on_where_it_was(server: Scripted, tmp_path: Path) -> None:
    def answer(asked: Asked) -> None:
        begin = int(asked.headers.get("Range", "bytes=0-")[6:-1])
        if begin:
            asked.reply(206, CONTENT[begin:])
        else:
            asked.reply(200, CONTENT[:5000], length=len(CONTENT))

    server.answer = answer
    path = tmp_path / "blob"
    with pytest.raises(Unreachable, match="broke off after 5000 of 102400 bytes"):
        server.registry().fetch(BLOB, path)
    server.registry().fetch(BLOB, path)
    assert path.read_bytes() == CONTENT
    assert server.seen[-1][1]["Range"] == "bytes=5000-"


def test_a_registry_that_cannot_resume_starts_over(server: Scripted, tmp_path: Path) -> None:
    path = tmp_path / "blob"
    path.write_bytes(CONTENT[:77])
    server.answer = lambda asked: asked.reply(200, CONTENT)
    server.registry().fetch(BLOB, path)
    assert path.read_bytes() == CONTENT


@pytest.mark.parametrize("bad", [b"!" * 77, b"!" * len(CONTENT), CONTENT + b"!"])
def test_a_registry_is_not_blamed_for_what_came_before(
    server: Scripted, tmp_path: Path, bad: bytes
) -> None:
    path = tmp_path / "blob"
    path.write_bytes(bad)

    def answer(asked: Asked) -> None:
        begin = int(asked.headers.get("Range", "bytes=0-")[6:-1])
        asked.reply(206 if begin else 200, CONTENT[begin:])

    server.answer = answer
    with pytest.raises(Unreachable, match="was damaged; will try again"):
        server.registry().fetch(BLOB, path)
    server.registry().fetch(BLOB, path)
    assert path.read_bytes() == CONTENT


def test_a_registry_that_has_less_than_has_come_is_asked_anew(
    server: Scripted, tmp_path: Path
) -> None:
    path = tmp_path / "blob"
    path.write_bytes(CONTENT[:77])
    server.answer = lambda asked: (
        asked.reply(416) if "Range" in asked.headers else asked.reply(200, CONTENT[:50])
    )
    with pytest.raises(Unreachable, match="answers 416"):
        server.registry().fetch(BLOB, path)
    with pytest.raises(BadImage, match=f"sent 50 of the {len(CONTENT)} bytes of sha256:"):
        server.registry().fetch(BLOB, path)
    assert not path.exists()


def test_a_part_that_is_missing_is_named(server: Scripted, tmp_path: Path) -> None:
    server.answer = lambda asked: asked.reply(404)
    with pytest.raises(NoSuchImage, match=r"lacks sha256:.* a part of 127"):
        server.registry().fetch(BLOB, tmp_path / "blob")


@pytest.mark.parametrize("spoken", [b"", CONTENT[:3000]], ids=["at once", "in the middle"])
def test_silence_is_not_waited_for_for_ever(
    server: Scripted, tmp_path: Path, spoken: bytes
) -> None:
    over = Event()

    def answer(asked: Asked) -> None:
        if spoken:
            asked.reply(200, spoken, length=len(CONTENT))
            asked.wfile.flush()
        over.wait(10)

    server.answer = answer
    registry = Registry(parse(f"{server.host}/app:1"), silence_s=0.1)
    with pytest.raises(Unreachable, match=r"said nothing for 0\.1 s|fell silent after 3000 of"):
        registry.fetch(BLOB, tmp_path / "blob")
    with pytest.raises(Unreachable, match=r"said nothing for 0\.1 s|fell silent in the middle"):
        registry.manifest("1")
    over.set()


@pytest.mark.parametrize(
    "sent",
    [CONTENT[:-1] + b"!", CONTENT + b"more" * 100_000],
    ids=["other content", "more than announced"],
)
def test_a_blob_that_differs_from_its_announcement_leaves_nothing(
    server: Scripted, tmp_path: Path, sent: bytes
) -> None:
    server.answer = lambda asked: asked.reply(200, sent)
    path = tmp_path / "blob"
    with pytest.raises(BadImage, match="something else than sha256"):
        server.registry().fetch(BLOB, path)
    assert not path.exists()


def test_a_manifest_under_a_wrong_digest_is_refused(server: Scripted) -> None:
    server.answer = lambda asked: asked.reply(200, b"{}")
    with pytest.raises(BadImage, match="with something else"):
        server.registry().manifest(BLOB.digest)


def test_a_token_is_fetched_once_and_not_shown_to_whom_it_redirects(server: Scripted) -> None:
    def answer(asked: Asked) -> None:
        if asked.path.startswith("/token"):
            asked.reply(200, b'{"token": "t1"}')
        elif asked.path == "/elsewhere":
            asked.reply(200, b"found")
        elif asked.headers.get("Authorization") != "Bearer t1":
            asked.reply(
                401, WWW_Authenticate=f'Bearer realm="http://{server.host}/token",service="s"'
            )
        else:
            asked.reply(307, Location=f"http://{server.host}/elsewhere")

    server.answer = answer
    registry = server.registry(Credentials("me", "pw"))
    assert registry.manifest("1")[1] == b"found"
    assert registry.manifest("1")[1] == b"found"
    tokens = [headers for path, headers in server.seen if path.startswith("/token")]
    assert len(tokens) == 1
    assert tokens[0]["Authorization"].startswith("Basic ")
    elsewhere = [headers for path, headers in server.seen if path == "/elsewhere"]
    assert all("Authorization" not in headers for headers in elsewhere)


@pytest.mark.parametrize(
    ("code", "kind", "sentence"),
    [
        (404, NoSuchImage, "no such image"),
        (401, NoSuchImage, "does not show it to anybody"),
        (403, NoSuchImage, "does not show it to anybody"),
        (429, Unreachable, "answers 429"),
        (500, Unreachable, "answers 500"),
    ],
)
def test_refusals_say_whether_to_try_again(
    server: Scripted, code: int, kind: type[Exception], sentence: str
) -> None:
    server.answer = lambda asked: asked.reply(code)
    with pytest.raises(kind, match=sentence):
        server.registry().manifest("1")


def test_a_token_service_that_wants_credentials_in_plain_gets_none(server: Scripted) -> None:
    server.answer = lambda asked: asked.reply(
        401, WWW_Authenticate='Bearer realm="http://203.0.113.1/token"'
    )
    with pytest.raises(NoSuchImage, match=r"203\.0\.113\.1 in plain"):
        server.registry(Credentials("me", "pw")).manifest("1")


def test_nobody_listening_is_worth_another_attempt() -> None:
    with pytest.raises(Unreachable, match="cannot be reached"):
        Registry(parse("127.0.0.1:9/app:1")).manifest("1")
