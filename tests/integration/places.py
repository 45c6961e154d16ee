# SPDX-License-Identifier: GPL-2.0-or-later
"""Channels of several places, and a web server before them that can fail as web servers do."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

from pipeline.context import TargetContext
from pipeline.settingtables import MirrorSettings
from tests.integration.conftest import Project


@dataclass
class WebServer:
    """A server of one folder; `fault` says how it fails for paths that end with `of`."""

    url: str
    dir: Path
    fault: str = ""
    of: str = ""
    asked: list[str] = field(default_factory=list)


class _Handler(SimpleHTTPRequestHandler):
    def __init__(self, *given: object, server_state: WebServer, **named: object) -> None:
        self._state = server_state
        super().__init__(*given, directory=str(server_state.dir), **named)

    def do_GET(self) -> None:
        state = self._state
        state.asked.append(unquote(self.path))
        if state.fault in ("", "no-links") or not unquote(self.path).endswith(state.of):
            super().do_GET()
        elif state.fault == "html":
            self._answer(b"<html>sign in first</html>", 26)
        elif state.fault == "cut":
            self._answer(b"cut", 1000)
        else:
            self.send_error(int(state.fault))

    def _answer(self, body: bytes, told_bytes: int) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(told_bytes))
        self.end_headers()
        self.wfile.write(body)

    def translate_path(self, path: str) -> str:
        found = Path(super().translate_path(path))
        inside = found.relative_to(self._state.dir).parents
        if self._state.fault == "no-links" and any((self._state.dir / each).is_symlink() for each in inside):
            return "/nonexistent"
        return str(found)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def web_server(folder: Path) -> Iterator[WebServer]:
    folder.mkdir(parents=True, exist_ok=True)
    state = WebServer(url="", dir=folder)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, server_state=state))
    state.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def channel(project: Project, *places: str | Path, **more: object) -> TargetContext:
    """The context of a channel of these places, with other words of `[mirrors.NAME]`."""
    context = project.context("local")
    mirror = MirrorSettings(destination=tuple(map(str, places)), **more)
    return replace(context, settings=context.settings.model_copy(update={"mirrors": {"local": mirror}}))
