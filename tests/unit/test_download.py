# SPDX-License-Identifier: GPL-2.0-or-later
"""Downloads against real servers on the loopback that misbehave in every way we know of."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import re
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from pytest_httpserver import HTTPServer
from rich.console import Console
from werkzeug import Request, Response

from pipeline.errors import NetworkError
from pipeline.progress import Progress
from pipeline.sources.address import file_name, local_path, redacted
from pipeline.sources.download import Limits, download

CONTENT = bytes(range(256)) * 40
DIGEST = hashlib.sha256(CONTENT).hexdigest()
LIMITS = Limits(deadline_seconds=10, wait_seconds=0.01, silence_seconds=0.3, connect_seconds=1)

Answer = Callable[[socket.socket, str], None]


@pytest.fixture
def progress() -> Progress:
    return Progress(console=Console(file=io.StringIO()))


@pytest.fixture
def target(tmp_path) -> Path:
    return tmp_path / "got"


class RawServer:
    """Answers each connection with the next of some scripts; knows what it was asked."""

    def __init__(self, answers: list[Answer]) -> None:
        self.requests: list[str] = []
        self._answers = answers
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/vdsm.src.rpm"
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _serve(self) -> None:
        for answer in self._answers:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._talk, args=(connection, answer), daemon=True).start()

    def _talk(self, connection: socket.socket, answer: Answer) -> None:
        with connection:
            asked = connection.recv(65536).decode()
            self.requests.append(asked)
            with contextlib.suppress(OSError):
                answer(connection, asked)


@pytest.fixture
def serve() -> Iterator[Callable[..., RawServer]]:
    servers: list[RawServer] = []

    def start(*answers: Answer) -> RawServer:
        servers.append(RawServer(list(answers)))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


def answer(body: bytes, *headers: str, status: str = "200 OK", length: int | None = -1) -> Answer:
    """An answer that says `length` (the body's own by default, none for None) and then hangs up."""
    told = len(body) if length == -1 else length
    lines = [f"HTTP/1.1 {status}", "Connection: close", *headers]
    lines += [f"Content-Length: {told}"] if told is not None else []

    def say(connection: socket.socket, asked: str) -> None:
        connection.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + body)

    return say


def drip(head: bytes, piece: bytes) -> Answer:
    """Never silent for long, never done."""

    def say(connection: socket.socket, asked: str) -> None:
        connection.sendall(head)
        while True:
            connection.sendall(piece)
            time.sleep(0.05)

    return say


def silence(connection: socket.socket, asked: str) -> None:
    time.sleep(2)


def refusal(url: str, target: Path, progress: Progress, limits: Limits = LIMITS, sha256: str = "") -> NetworkError:
    with pytest.raises(NetworkError) as caught:
        download(url, target, limits=limits, progress=progress, sha256=sha256)
    assert "\n" not in caught.value.message
    assert caught.value.hint
    assert caught.value.exit_code == 30
    assert list(target.parent.iterdir()) == [], "nothing half-made stays"
    return caught.value


def test_a_whole_file_arrives(httpserver: HTTPServer, target, progress):
    httpserver.expect_request("/f", headers={"Accept-Encoding": "identity"}).respond_with_data(CONTENT)
    assert download(httpserver.url_for("/f"), target, limits=LIMITS, progress=progress, sha256=DIGEST) == DIGEST
    assert target.read_bytes() == CONTENT
    assert [path.name for path in target.parent.iterdir()] == ["got"]


def test_404_is_final(httpserver: HTTPServer, target, progress):
    httpserver.expect_request("/f").respond_with_data("no", status=404)
    error = refusal(httpserver.url_for("/f"), target, progress)
    assert error.message == f"cannot download {httpserver.url_for('/f')}: the server answered 404 NOT FOUND"
    assert len(httpserver.log) == 1


def test_500_three_times_is_the_end(httpserver: HTTPServer, target, progress):
    httpserver.expect_request("/f").respond_with_data("no", status=500)
    error = refusal(httpserver.url_for("/f"), target, progress)
    assert "500 INTERNAL SERVER ERROR (tried 3 times)" in error.message
    assert len(httpserver.log) == 3


def test_500_twice_is_overcome(httpserver: HTTPServer, target, progress):
    for _ in range(2):
        httpserver.expect_ordered_request("/f").respond_with_data("no", status=503)
    httpserver.expect_ordered_request("/f").respond_with_data(CONTENT)
    assert download(httpserver.url_for("/f"), target, limits=LIMITS, progress=progress) == DIGEST


def test_what_was_there_stays_when_a_download_fails(httpserver: HTTPServer, target, progress):
    target.write_text("old")
    httpserver.expect_request("/f").respond_with_data(CONTENT)
    with pytest.raises(NetworkError, match="is wanted"):
        download(httpserver.url_for("/f"), target, limits=LIMITS, progress=progress, sha256="0" * 64)
    assert target.read_text() == "old"


def test_another_digest_is_final(httpserver: HTTPServer, target, progress):
    httpserver.expect_request("/f").respond_with_data(CONTENT)
    error = refusal(httpserver.url_for("/f"), target, progress, sha256="0" * 64)
    assert DIGEST in error.message and "0" * 64 in error.message
    assert len(httpserver.log) == 1


def test_a_body_cut_short_each_time(serve, target, progress):
    server = serve(*[answer(CONTENT[:1000], length=len(CONTENT))] * 3)
    error = refusal(server.url, target, progress)
    assert "(tried 3 times)" in error.message
    assert len(server.requests) == 3
    assert not any("Range:" in asked for asked in server.requests), "nothing vouches that it is the same file"


def test_a_body_cut_short_is_continued_where_it_broke_off(serve, target, progress):
    rest = f"Content-Range: bytes 1000-{len(CONTENT) - 1}/{len(CONTENT)}"
    server = serve(
        answer(CONTENT[:1000], 'ETag: "one"', length=len(CONTENT)),
        answer(CONTENT[1000:], 'ETag: "one"', rest, status="206 Partial Content"),
    )
    assert download(server.url, target, limits=LIMITS, progress=progress) == DIGEST
    assert target.read_bytes() == CONTENT
    assert "Range: bytes=1000-" in server.requests[1]
    assert 'If-Range: "one"' in server.requests[1]


def test_what_came_before_a_silence_is_kept(serve, target, progress):
    def stall(connection: socket.socket, asked: str) -> None:
        answer(CONTENT[:1000], 'ETag: "one"', length=len(CONTENT))(connection, asked)
        silence(connection, asked)

    rest = f"Content-Range: bytes 1000-{len(CONTENT) - 1}/{len(CONTENT)}"
    server = serve(stall, answer(CONTENT[1000:], rest, status="206 Partial Content"))
    assert download(server.url, target, limits=LIMITS, progress=progress) == DIGEST


def test_a_rest_that_comes_in_parts(serve, target, progress):
    server = serve(
        answer(CONTENT[:1000], 'ETag: "one"', length=len(CONTENT)),
        answer(CONTENT[1000:2000], f"Content-Range: bytes 1000-1999/{len(CONTENT)}", status="206 Partial Content"),
        answer(CONTENT[2000:], f"Content-Range: bytes 2000-9/{len(CONTENT)}", status="206 Partial Content"),
    )
    assert download(server.url, target, limits=LIMITS, progress=progress) == DIGEST


def test_a_file_that_changed_meanwhile_is_taken_from_its_start(serve, target, progress):
    new = b"new" * 2000
    server = serve(answer(CONTENT[:1000], 'ETag: "one"', length=len(CONTENT)), answer(new, 'ETag: "two"'))
    download(server.url, target, limits=LIMITS, progress=progress)
    assert target.read_bytes() == new


@pytest.mark.parametrize(
    "headers",
    [
        ['ETag: "two"', f"Content-Range: bytes 1000-{len(CONTENT) - 1}/{len(CONTENT)}"],
        ['ETag: "one"', f"Content-Range: bytes 900-{len(CONTENT) - 1}/{len(CONTENT)}"],
        ['ETag: "one"'],
    ],
    ids=["another file", "another part", "no word which part"],
)
def test_halves_of_different_files_are_never_glued(serve, target, progress, headers):
    server = serve(
        answer(CONTENT[:1000], 'ETag: "one"', length=len(CONTENT)),
        answer(b"x" * (len(CONTENT) - 1000), *headers, status="206 Partial Content"),
        answer(CONTENT),
    )
    assert download(server.url, target, limits=LIMITS, progress=progress) == DIGEST
    assert "Range:" not in server.requests[2]


def test_a_date_vouches_only_with_a_digest(serve, target, progress):
    date = "Last-Modified: Sat, 01 Jan 2022 00:00:00 GMT"
    rest = f"Content-Range: bytes 1000-{len(CONTENT) - 1}/{len(CONTENT)}"
    cut = answer(CONTENT[:1000], date, length=len(CONTENT))
    wrong = answer(b"x" * (len(CONTENT) - 1000), date, rest, status="206 Partial Content")
    server = serve(cut, wrong, answer(CONTENT))
    assert download(server.url, target, limits=LIMITS, progress=progress, sha256=DIGEST) == DIGEST
    assert "Range:" in server.requests[1] and "Range:" not in server.requests[2]

    unpinned = serve(cut, answer(CONTENT))
    download(unpinned.url, target, limits=LIMITS, progress=progress)
    assert "Range:" not in unpinned.requests[1]


def test_a_server_that_cannot_give_the_rest_gives_the_whole(serve, target, progress):
    server = serve(
        answer(CONTENT[:1000], 'ETag: "one"', length=len(CONTENT)),
        answer(b"", status="416 Range Not Satisfiable"),
        answer(CONTENT),
    )
    assert download(server.url, target, limits=LIMITS, progress=progress) == DIGEST


def test_a_chunked_body_cut_short_is_noticed(serve, target, progress):
    cut = answer(b"400\r\n" + b"x" * 1024 + b"\r\n", "Transfer-Encoding: chunked", length=None)
    assert "broke off" in refusal(serve(cut, cut, cut).url, target, progress).message


def test_a_server_that_never_answers(serve, target, progress):
    server = serve(silence, silence, silence)
    assert "the server was silent for 0.3 seconds (tried 3 times)" in refusal(server.url, target, progress).message


@pytest.mark.parametrize(
    "head",
    [b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", b"HTTP/1.1 200 OK\r\nX-Endless: "],
    ids=["body", "headers"],
)
def test_a_slow_drip_ends_at_the_deadline(serve, target, progress, head):
    started = time.monotonic()
    error = refusal(serve(drip(head, b"x")).url, target, progress, replace(LIMITS, deadline_seconds=0.5))
    assert "not done within 0.5 seconds" in error.message
    assert time.monotonic() - started < 20


def test_the_deadline_holds_for_waits_too(httpserver: HTTPServer, target, progress):
    httpserver.expect_request("/f").respond_with_data("no", status=500)
    slow = replace(LIMITS, deadline_seconds=0.3, wait_seconds=30)
    assert "not done within" in refusal(httpserver.url_for("/f"), target, progress, slow).message


def test_nobody_listens(target, progress):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    error = refusal(f"http://127.0.0.1:{port}/f", target, progress)
    assert error.message == f"cannot download http://127.0.0.1:{port}/f: Connection refused (tried 3 times)"


def test_a_name_that_does_not_exist(target, progress):
    error = refusal("http://nowhere.invalid/f", target, progress, replace(LIMITS, attempts=1))
    assert "object at 0x" not in error.message


@pytest.mark.parametrize("url", ["ftp://host/f", "http:///f", "http://[bad/f"])
def test_an_address_that_is_none(url, target, progress):
    refusal(url, target, progress)


@pytest.mark.parametrize("length", [len(CONTENT), None], ids=["told", "not told"])
def test_too_large_is_final(serve, target, progress, length):
    server = serve(*[answer(CONTENT, length=length)] * 3)
    error = refusal(server.url, target, progress, replace(LIMITS, max_bytes=5000))
    assert "larger than 5000 bytes" in error.message
    assert len(server.requests) == 1


def test_gzip_is_not_undone(httpserver: HTTPServer, target, progress):
    packed = gzip.compress(b"\0" * 1_000_000)
    httpserver.expect_request("/f").respond_with_data(packed, headers={"Content-Encoding": "gzip"})
    download(httpserver.url_for("/f"), target, limits=replace(LIMITS, max_bytes=5000), progress=progress)
    assert target.read_bytes() == packed


def test_credentials_are_never_shown(httpserver: HTTPServer, target, progress):
    httpserver.expect_request("/f").respond_with_data("no", status=403)
    url = httpserver.url_for("/f").replace("://", "://me:secret@")
    assert "secret" not in refusal(url, target, progress).message


# ---- redirects --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificate(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("tls")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
         "-keyout", folder / "key.pem", "-out", folder / "cert.pem"],
        check=True,
        capture_output=True,
    )  # fmt: skip
    return folder


@pytest.fixture
def https_server(certificate) -> Iterator[HTTPServer]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")
    with HTTPServer(host="localhost", port=0, ssl_context=context) as server:
        yield server


@pytest.fixture
def trusted(monkeypatch, certificate) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate / "cert.pem"))


def redirect(server: HTTPServer, path: str, address: str) -> None:
    server.expect_request(path).respond_with_response(Response(status=302, headers={"Location": address}))


@pytest.mark.usefixtures("trusted")
def test_https_is_never_left_for_http(https_server, httpserver, target, progress):
    httpserver.expect_request("/f").respond_with_data(CONTENT)
    redirect(https_server, "/f", httpserver.url_for("/f"))
    error = refusal(https_server.url_for("/f"), target, progress)
    assert error.reference == "insecure-redirect"
    assert f"redirects from https to {httpserver.url_for('/f')}" in error.message
    assert len(https_server.log) == 1
    assert httpserver.log == []


@pytest.mark.usefixtures("trusted")
def test_http_may_lead_to_https(https_server, httpserver, target, progress):
    https_server.expect_request("/g").respond_with_data(CONTENT)
    redirect(httpserver, "/f", https_server.url_for("/g"))
    assert download(httpserver.url_for("/f"), target, limits=LIMITS, progress=progress) == DIGEST


def test_a_certificate_that_nobody_vouches_for_is_final(https_server, target, progress):
    error = refusal(https_server.url_for("/f"), target, progress)
    assert error.reference == "download-tls"
    assert "certificate" in error.message


def test_redirects_in_a_circle_end(httpserver, target, progress):
    redirect(httpserver, "/f", httpserver.url_for("/f"))
    assert "redirects" in refusal(httpserver.url_for("/f"), target, progress).message
    assert len(httpserver.log) == 6


# ---- files, progress, addresses ---------------------------------------------------------------------


def test_a_file_url_is_copied(tmp_path, target, progress):
    source = tmp_path / "with space é"
    source.mkdir()
    (source / "f").write_bytes(CONTENT)
    got = tmp_path / "to" / "got"
    url = (source / "f").as_uri()
    assert download(url, got, limits=LIMITS, progress=progress, sha256=DIGEST) == DIGEST
    assert "there is no such file" in refusal(url + "x", tmp_path / "none" / "got", progress).message
    assert "larger" in refusal(url, tmp_path / "none" / "got", progress, replace(LIMITS, max_bytes=10)).message


def test_a_full_disk_is_no_network_error(httpserver: HTTPServer, tmp_path, progress):
    httpserver.expect_request("/f").respond_with_data(CONTENT)
    (tmp_path / "full.part").symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left"):
        download(httpserver.url_for("/f"), tmp_path / "full", limits=LIMITS, progress=progress)


def test_a_bar_is_drawn_on_a_terminal(httpserver: HTTPServer, target):
    drawn = io.StringIO()
    progress = Progress(console=Console(file=drawn, force_terminal=True, width=120))
    httpserver.expect_request("/vdsm.src.rpm").respond_with_data(CONTENT)
    with progress.working("demo/vdsm", "fetch"):  # a spinner is there already
        download(httpserver.url_for("/vdsm.src.rpm"), target, limits=LIMITS, progress=progress)
    assert re.search(r"vdsm\.src\.rpm", drawn.getvalue())


def test_progress_goes_on_where_the_file_does(serve, target):
    seen: list[int] = []

    class Watched(Progress):
        def transfer(self, label, total_bytes):
            from contextlib import nullcontext

            assert (label, total_bytes) == ("vdsm.src.rpm", len(CONTENT))
            return nullcontext(seen.append)

    rest = f"Content-Range: bytes 1000-{len(CONTENT) - 1}/{len(CONTENT)}"
    server = serve(
        answer(CONTENT[:1000], 'ETag: "one"', length=len(CONTENT)),
        answer(CONTENT[1000:], rest, status="206 Partial Content"),
    )
    download(server.url, target, limits=LIMITS, progress=Watched())
    assert seen == sorted(seen)
    assert seen[0] <= 1000 and seen[-1] == len(CONTENT)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://me:pw@host/x", "https://***@host/x"),
        ("yum:https://token@host/x and http://a:b@c", "yum:https://***@host/x and http://***@c"),
        ("ssh://git@host/x@v1", "ssh://git@host/x@v1"),
        ("https://host/x@v1", "https://host/x@v1"),
    ],
)
def test_redacted(text, shown):
    assert redacted(text) == shown


def test_names_and_paths(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/me")
    assert file_name("http://host/a/b%20c.src.rpm?x=/y") == "b c.src.rpm"
    assert local_path("a.rpm") == tmp_path / "a.rpm"
    assert local_path("~/a.rpm") == Path("/home/me/a.rpm")
    assert local_path("file:///a%20b") == Path("/a b")
    assert local_path("http://host/a") is None


def test_one_request_a_try(httpserver: HTTPServer, target, progress):
    """Retries are ours alone: the library must not multiply them."""
    seen: list[str] = []

    def handle(request: Request) -> Response:
        seen.append(request.method)
        return Response("no", status=502)

    httpserver.expect_request("/f").respond_with_handler(handle)
    refusal(httpserver.url_for("/f"), target, progress, replace(LIMITS, attempts=2))
    assert seen == ["GET", "GET"]
