# SPDX-License-Identifier: GPL-2.0-or-later
"""What `look` is for: each thing that can be wrong with a page is found in one that is all wrong."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Browser

from tests.browser import look

_PAGE = """\
<!doctype html><title>All wrong</title>
<div style="width: 900px">wide</div>
<img src="http://127.0.0.1:9/picture.png">
<a href="gone.log">gone</a> <a href="#nowhere">nowhere</a> <a href="http://127.0.0.1:9/">nobody</a>
<a href="there.log">there</a> <a href="#here" id="here">here</a>
<script>console.warn('careful')</script>
"""


def test_all_that_is_wrong_with_a_page_is_found(browser: Browser, tmp_path: Path):
    path = tmp_path / "page.html"
    path.write_text(_PAGE)
    (tmp_path / "there.log").write_text("")

    found = look(browser, path, width=360, screenshot_path=tmp_path / "shots" / "page.png")

    assert found.sideways_px > 500
    assert "careful" in found.console
    assert found.foreign_requests == ["http://127.0.0.1:9/picture.png"]
    assert {each.partition(":")[0] for each in found.axe} >= {"image-alt", "html-has-lang"}
    assert [href.rpartition("/")[2] for href in found.dead_links] == ["gone.log", "page.html#nowhere", ""]
    assert (tmp_path / "shots" / "page.png").read_bytes().startswith(b"\x89PNG")


def test_a_host_may_be_asked_that_is_named(browser: Browser, httpserver):
    httpserver.expect_request("/").respond_with_data(
        '<!doctype html><html lang="en"><head><title>Served</title><link rel="icon" href="data:,"></head>'
        '<body><main><h1>Served</h1><a href="/there">there</a> <a href="/gone">gone</a></main></body></html>',
        content_type="text/html",
    )
    httpserver.expect_request("/there").respond_with_data("")
    host = f"{httpserver.host}:{httpserver.port}"

    found = look(browser, httpserver.url_for("/"), width=360, host=host)

    assert found.all == [f"link: http://{host}/gone"]
    assert look(browser, httpserver.url_for("/"), width=360, axe=False).foreign_requests == [f"http://{host}/"]
