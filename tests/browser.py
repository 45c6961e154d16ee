# SPDX-License-Identifier: GPL-2.0-or-later
"""Pages in a real Chromium: what a person, a screen reader or a link would stumble over.

`browser` is a fixture to be imported by a conftest; `look` opens a page at one width and returns what is wrong with it.
"""

from __future__ import annotations

import re
import shutil
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, sync_playwright

# What a test leaves for people to look at; git ignores it.
SCREENSHOTS_DIR = Path(__file__).parent / ".screenshots"
WIDTHS = {360: 740, 768: 1024, 1440: 900}
SCHEMES = ("light", "dark")
_ARGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-dev-shm-usage",
    "--no-first-run",
]
_HEAD_SECONDS = 10


@dataclass
class Findings:
    """What is wrong with a page at one width; all empty on a good one."""

    sideways_px: int = 0
    console: list[str] = field(default_factory=list)
    foreign_requests: list[str] = field(default_factory=list)
    axe: list[str] = field(default_factory=list)
    dead_links: list[str] = field(default_factory=list)

    @property
    def all(self) -> list[str]:
        sideways = [f"scrolls sideways by {self.sideways_px} px"] if self.sideways_px else []
        told = (
            ("console", self.console),
            ("asks", self.foreign_requests),
            ("axe", self.axe),
            ("link", self.dead_links),
        )
        return sideways + [f"{name}: {each}" for name, found in told for each in found]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """The system's Chromium; a machine without it fails here, and skips nothing."""
    path = shutil.which("chromium") or shutil.which("chromium-browser")  # as Fedora calls it
    assert path, "no chromium on PATH: apt-get install chromium"
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=_ARGS)
        yield chromium
        chromium.close()


def look(
    browser: Browser,
    page: str | Path,
    *,
    width: int,
    height: int | None = None,
    scheme: str = "light",
    screenshot_path: Path | None = None,
    host: str = "",
    axe: bool = True,
) -> Findings:
    """Open a page, a file or a URL, without script of its own and with axe's; the screenshot is of the whole page.

    `host` is one that it may ask, as in `127.0.0.1:8000`, besides files and data URLs.
    """
    address = page.as_uri() if isinstance(page, Path) else page
    height = height or WIDTHS[width]
    found = Findings()
    size = {"width": width, "height": height}
    with browser.new_context(viewport=size, color_scheme=scheme) as context:
        tab = context.new_page()
        _listen(tab, found, host)
        tab.goto(address)
        found.sideways_px = tab.evaluate(
            "Math.max(0, document.documentElement.scrollWidth - document.documentElement.clientWidth)"
        )
        found.dead_links = _dead_links(tab, address)
        if screenshot_path is not None:
            screenshot_path.parent.mkdir(parents=True, exist_ok=True)
            tab.screenshot(path=screenshot_path, full_page=True)
    if axe:
        # axe is a script, which the page's own policy rightly refuses.
        with browser.new_context(viewport=size, color_scheme=scheme, bypass_csp=True) as context:
            tab = context.new_page()
            tab.goto(address)
            found.axe = _axe(tab)
    return found


def top_of(browser: Browser, page: str | Path, text: str, *, width: int) -> float:
    """Where the element that holds the text ends, in pixels from the top of the unscrolled page."""
    address = page.as_uri() if isinstance(page, Path) else page
    with browser.new_context(viewport={"width": width, "height": WIDTHS[width]}) as context:
        tab = context.new_page()
        tab.goto(address)
        box = tab.get_by_text(text).first.bounding_box()
    assert box is not None, f"{text!r} is not to be seen"
    return box["y"] + box["height"]


def _listen(tab: Page, found: Findings, host: str) -> None:
    def message(said: ConsoleMessage) -> None:
        if said.type in ("error", "warning"):
            found.console.append(said.text)

    def request(asked: Request) -> None:
        parts = urlsplit(asked.url)
        if parts.scheme not in ("file", "data") and parts.netloc != host:
            found.foreign_requests.append(asked.url)

    tab.on("console", message)
    tab.on("pageerror", lambda error: found.console.append(str(error)))
    tab.on("request", request)


def _axe(tab: Page) -> list[str]:
    violations = Axe().run(tab).response["violations"]
    return [
        f"{rule['id']}: {rule['help']}: {node['html'][:200]} {node.get('failureSummary', '')}"
        for rule in violations
        for node in rule["nodes"][:3]
    ]


def _dead_links(tab: Page, address: str) -> list[str]:
    hrefs = tab.eval_on_selector_all("a[href]", "links => links.map(link => link.href)")
    return [href for href in dict.fromkeys(hrefs) if not _resolves(tab, href, address)]


def _resolves(tab: Page, href: str, address: str) -> bool:
    bare, fragment = urldefrag(href)
    if bare == urldefrag(address)[0]:
        return not fragment or bool(tab.evaluate("id => document.getElementById(id) !== null", unquote(fragment)))
    parts = urlsplit(bare)
    if parts.scheme == "file":
        return Path(unquote(parts.path)).exists()
    return bool(re.match(r"https?$", parts.scheme)) and _is_served(bare)


def _is_served(url: str) -> bool:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=_HEAD_SECONDS) as answer:
            return answer.status == 200
    except urllib.error.URLError:
        return False
