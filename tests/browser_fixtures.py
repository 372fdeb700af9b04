"""Fixtures of the tests in a real browser: a store that is served, and a page of which nothing may be heard.

Every page is watched: a script error, a message on the console, a dialog, a violation of the content security policy or a
request to anywhere else fails the test. Without Chromium the tests are skipped. A module that uses these fixtures has its own
`ids`, which fills the store.
"""

from __future__ import annotations

import pytest

from burnish.bench.screenshots import browser, find_chromium, viewer
from tests.browser_kit import WATCH


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    if find_chromium() is None:
        pytest.skip("no Chromium here (to have it: apt install chromium)")
    return f"sqlite:///{tmp_path_factory.mktemp('view')}/runs.db"


@pytest.fixture(scope="module")
def address(store, ids, tmp_path_factory):
    log = tmp_path_factory.mktemp("viewer") / "log"
    with log.open("w") as errors, viewer(store, errors) as found:
        yield found
    assert "Traceback" not in log.read_text()


@pytest.fixture(scope="module")
def chromium(address):
    # Asks for the address so that the runs are there before: playwright has an event loop of its own running in this thread.
    with browser() as found:
        yield found


@pytest.fixture
def page(address, chromium):
    """A page at the list, of which nothing may be heard."""
    context = chromium.new_context(base_url=address, viewport={"width": 1280, "height": 800}, color_scheme="light")
    context.set_default_timeout(15_000)
    context.add_init_script(WATCH)
    heard: list[str] = []
    context.on("console", lambda message: heard.append(f"console: {message.text}"))
    context.on("weberror", lambda error: heard.append(f"error: {error.error}"))
    context.on("dialog", lambda dialog: (heard.append(f"dialog: {dialog.message}"), dialog.dismiss()))
    context.on("request", lambda request: request.url.startswith(address) or heard.append(f"request: {request.url}"))
    yield context.new_page()
    context.close()
    assert heard == []
