"""The viewer in a real browser: keys, filters, live pages, drawings, both colour schemes."""

from __future__ import annotations

import asyncio
import re
import threading

import pytest

from burnish import ScriptedEngine, Session
from burnish.bench.screenshots import addresses, take
from burnish.bench.showcase import fill
from burnish.bench.viewing import enlarge
from burnish.core.task import Task
from tests.browser_kit import expect, hostile_run

pytestmark = pytest.mark.browser
pytest_plugins = ["tests.browser_fixtures"]


@pytest.fixture(scope="module")
def ids(store):
    """Runs of all kinds, by what they show."""
    found = asyncio.run(fill(store, tasks=4))
    found["hostile"] = asyncio.run(hostile_run(store))
    found["large"] = enlarge(store, found["budget"], 0, 450)
    return found


def shown(page) -> list[str]:
    """Ids of the runs in the list of runs."""
    return [row.get_attribute("data-run") for row in page.locator("tr[data-run]").all()]


def test_the_list_links_to_the_runs(page, ids):
    page.goto("/")
    assert ids["tree"] in shown(page)
    page.locator(f"tr[data-run='{ids['tree']}'] a").first.click()
    page.wait_for_url(f"**/runs/{ids['tree']}")
    assert "24 from 4 7 8 8" in page.locator("main").inner_text()


def test_filters_are_part_of_the_address(page, ids):
    page.goto("/")
    page.locator("select[name=graph]").select_option("iad")
    with page.expect_navigation():
        page.get_by_role("button", name="filter").click()
    assert set(shown(page)) == {ids["iad"], ids["hostile"]}
    page.reload()
    assert set(shown(page)) == {ids["iad"], ids["hostile"]}
    page.locator("select[name=status]").select_option("rejected")
    with page.expect_navigation():
        page.get_by_role("button", name="filter").click()
    assert shown(page) == [ids["hostile"]]
    page.go_back()
    assert set(shown(page)) == {ids["iad"], ids["hostile"]}


def test_keys_alone_are_enough(page, ids):
    page.goto("/?graph=best_of_n")
    listed = shown(page)
    row = page.locator("tr.here")
    page.keyboard.press("j")
    assert row.get_attribute("data-run") == listed[0]
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("k")
    assert row.get_attribute("data-run") == listed[1]
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/runs/{listed[1]}")
    page.keyboard.press("u")
    page.wait_for_url(re.compile(r"/(\?.*)?$"))
    page.keyboard.press("/")
    page.keyboard.type("mountain hut")
    page.keyboard.press("Enter")
    page.wait_for_url("**/?q=mountain+hut")
    assert shown(page) == [ids["iad"]]
    page.keyboard.press("g")
    page.keyboard.press("b")
    page.wait_for_url("**/batches")
    page.keyboard.press("?")
    assert page.locator("dialog#keys").is_visible()
    page.keyboard.press("Escape")
    assert not page.locator("dialog#keys").is_visible()


def test_two_marked_runs_are_compared(page, ids):
    page.goto("/?task=47+times+68")
    assert shown(page) == [ids["other_seed"], ids["best_of_n"]]
    for key in "jdjd":
        page.keyboard.press(key)
    page.wait_for_url(f"**/diff?a={ids['other_seed']}&b={ids['best_of_n']}")
    text = page.locator("main").inner_text()
    assert "seed" in text
    assert "/search@1/s0/x" in text


def test_dark_and_light(page, ids):
    ink = "getComputedStyle(document.querySelector('.drawing text')).fill"
    ground = "getComputedStyle(document.body).backgroundColor"
    page.goto(f"/runs/{ids['tree']}")
    light = [page.evaluate(ink), page.evaluate(ground)]
    page.locator("#theme").click()
    dark = [page.evaluate(ink), page.evaluate(ground)]
    assert light[0] != dark[0]
    assert light[1] != dark[1]
    page.reload()
    assert [page.evaluate(ink), page.evaluate(ground)] == dark
    page.keyboard.press("t")
    assert [page.evaluate(ink), page.evaluate(ground)] == light


def test_the_system_decides_where_nobody_chose(page):
    page.goto("/")
    light = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.emulate_media(color_scheme="dark")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != light


def test_drawings_lead_to_what_they_show(page, ids):
    page.goto(f"/runs/{ids['tree']}")
    page.locator(".tree a.chosen").click()
    page.wait_for_url(f"**/runs/{ids['tree']}/candidates/*")
    assert "24 (left: 24)" in page.locator("main").inner_text()
    page.goto(f"/runs/{ids['plangen']}")
    page.locator(".timeline a.call").first.click()
    page.wait_for_url(f"**/runs/{ids['plangen']}/calls/*")
    page.goto(f"/runs/{ids['plangen']}")
    page.locator(".graph a.to", has_text="search").click()
    page.wait_for_url(f"**/runs/{ids['plangen']}/calls?node=search")


def test_drawn_text_stays_in_its_boxes(page, ids):
    """Where the browser really puts it, with the fonts that it has."""
    outside = """
    () => [...document.querySelectorAll(".tree a.candidate, .graph .node .to")].flatMap((group) => {
      const box = group.querySelector("rect.box").getBBox();
      return [...group.querySelectorAll("text")].filter((text) => {
        const own = text.getBBox();
        return own.x < box.x - 1 || own.x + own.width > box.x + box.width + 1;
      }).map((text) => text.textContent);
    })
    """
    for name in ("tree", "plangen", "best_of_n", "hostile"):
        page.goto(f"/runs/{ids[name]}")
        assert page.evaluate(outside) == []


def test_links_to_a_place_in_a_run(page, ids):
    page.goto(f"/runs/{ids['best_of_n']}#timeline")
    assert page.evaluate("document.getElementById('timeline').getBoundingClientRect().top") < 800
    page.goto(f"/runs/{ids['best_of_n'][-8:]}")
    assert ids["best_of_n"][-8:] in page.locator("h1").inner_text()


def test_a_long_run_is_shown_a_part_at_a_time(page, ids):
    page.goto(f"/runs/{ids['large']}")
    assert page.locator(".timeline a.call").count() == 400
    assert page.locator(".tree a.candidate").count() == 300
    assert "… and 150 more" in page.locator(".tree").text_content()
    page.get_by_role("link", name="later calls").click()
    page.wait_for_url("**/runs/*from=*")
    assert page.locator(".timeline a.call").count() == 50
    page.goto(f"/runs/{ids['large']}/calls")
    first = page.locator("tr[data-row] a").first.text_content()
    page.keyboard.press("]")
    page.wait_for_url("**/calls?after=*")
    page.keyboard.press("[")
    page.wait_for_url(re.compile("/calls(?!.*after=[1-9])"))
    assert page.locator("tr[data-row] a").first.text_content() == first


def test_a_comparison_is_drawn_with_its_intervals(page, ids):
    page.goto(f"/batches/{ids['comparison']}")
    assert page.locator(".chart .arm").count() == 5
    assert page.locator(".chart .whisker").count() == 5
    assert "majority:n=16" in page.locator(".chart").text_content()


def test_without_scripts_the_pages_still_work(address, chromium, ids):
    context = chromium.new_context(base_url=address, java_script_enabled=False)
    page = context.new_page()
    page.goto("/?graph=iad")
    page.locator(f"tr[data-run='{ids['iad']}'] a").first.click()
    page.wait_for_url(f"**/runs/{ids['iad']}")
    assert page.locator(".tree a.chosen").count() == 1
    context.close()


def test_a_run_is_shown_while_it_goes_on(page, store):
    """The run waits in its second call until the browser has seen the first candidate."""
    started: list[str] = []
    begun, seen = threading.Event(), threading.Event()

    def reply(call):
        if "second" in call.text:
            begun.set()
            assert seen.wait(60), "the browser never looked"
            return "the second answer"
        return "the first answer"

    async def work():
        checks = {"name": "constraints", "checks": [{"contains": "second", "message": "say second"}]}
        async with Session(ScriptedEngine(reply), store=store) as session:
            await session.run("iad", Task(prompt="Say it.", verifier=checks), settings={"rounds": 1}, on_start=started.append)

    worker = threading.Thread(target=lambda: asyncio.run(work()))
    worker.start()
    try:
        assert begun.wait(60)
        page.clock.install()
        page.goto(f"/runs/{started[0]}")
        assert "running" in page.locator("h1").inner_text()
        assert page.locator(".tree a.candidate").count() == 1
        assert page.locator(".timeline a.intent").count() == 1
        assert page.locator("#live").inner_text() == "live"
    finally:
        seen.set()
        worker.join(60)
    page.clock.run_for(2500)
    expect(page.locator("h1")).to_contain_text("verified")
    assert page.locator(".tree a.candidate").count() == 2
    assert page.locator(".timeline a.intent").count() == 0
    assert not page.locator("#live").is_visible()


def test_pictures_for_the_documentation(page, store, ids, tmp_path):
    for name, path in addresses(store, ids).items():
        assert page.request.get(path).status == 200, name
    take(page, "/", tmp_path / "runs.png")
    assert (tmp_path / "runs.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "runs.png").stat().st_size < 80_000
