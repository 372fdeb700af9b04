"""Hostile text in a real browser: whatever a user or a model wrote, on every page of a run it does nothing."""

from __future__ import annotations

import asyncio
import re

import pytest

from burnish.traces.store import Store
from tests.browser_kit import WATCH, expect, hostile_run

pytestmark = pytest.mark.browser
pytest_plugins = ["tests.browser_fixtures"]

INJECTED = "main script, main iframe, main img, main style, main form[action^=http], [onload], [onerror], a[href^=javascript]"


@pytest.fixture(scope="module")
def ids(store):
    """Two runs of the same hostile task."""
    return {name: asyncio.run(hostile_run(store)) for name in ("hostile", "other")}


def test_hostile_text_does_nothing(page, ids, store):
    run = ids["hostile"]
    reader = Store.open_reader(store)
    try:
        candidates = [c.id for c in reader.candidates(run)]
        call = reader.calls(run)[0].seq
    finally:
        reader.close()
    own = [f"/runs/{run}", f"/runs/{run}/candidates", f"/runs/{run}/calls", f"/runs/{run}/calls/{call}"]
    own += [f"/runs/{run}/candidates/{c}" for c in candidates]
    for path in (
        *own,
        "/",
        f"/diff?a={run}&b={ids['other']}",
        "/?q=%3Cscript%3Ealert(1)%3C/script%3E",
        "/?task=%22%3E%3Cimg+src=x%3E",
    ):
        answer = page.goto(path)
        assert answer.status == 200, path
        assert page.locator(INJECTED).count() == 0, path
        assert not re.search("[\x00\x1b\u202e]", page.content()), path
    page.goto(f"/runs/{run}")
    assert "<script>alert(1)</script>" in page.locator("main").inner_text()


def test_the_policy_stops_a_script_that_got_in(address, chromium):
    """That nothing is heard on other pages is worth something only if a violation would be heard."""
    context = chromium.new_context(base_url=address)
    heard: list[str] = []
    context.add_init_script(WATCH)
    context.on("console", lambda message: heard.append(message.text))
    own = context.new_page()
    own.goto("/")
    own.evaluate("document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"document.title = 1\">')")
    expect(own.locator("img")).to_have_js_property("complete", True)
    own.evaluate("document.querySelector('main').setAttribute('style', 'color: red')")
    assert own.title() != "1"
    assert any(text.startswith("policy style-src") for text in heard)
    assert any(text.startswith("policy script-src") for text in heard)
    context.close()
