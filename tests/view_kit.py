"""A store with runs of every kind that the viewer shows, and a client of the viewer over it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from contextlib import contextmanager
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from burnish import BurnishError, ScriptedEngine, Session, Task
from burnish.compare import carry
from burnish.compare.plan import Arm, Plan
from burnish.core.records import Outcome, StepStart
from burnish.graphs.builtin import one_node
from burnish.traces.store import Store
from burnish.view.app import create_app
from tests import plangen_kit
from tests.helpers import session
from tests.iad_kit import NUMERIC
from tests.traces_kit import begun, candidate, intent, judged, outcome

HOSTILE = (
    "<script>alert(1)</script><img src=x onerror=alert(2)></textarea></pre></title>"
    "\x1b[2Jclear\u202etfel\u2066 nul\x00 \"quote' & {{ 7 * 7 }} {% raw %} javascript:alert(3) \ud800"
)
PASSAGE = {
    "asked": "who",
    "documents": [{"id": "p1", "rank": 1, "score": 0.5}],
    "texts": [["A <b>title</b>", "passage </pre><script>alert(4)</script>"]],
}


def url(path: Path) -> str:
    return f"sqlite:///{path}/runs.db"


async def fill(path: Path) -> dict[str, str]:
    """Ids of the runs, by what they are."""
    ids: dict[str, str] = {}
    async with session(path, lambda call: HOSTILE) as s:
        task = Task(prompt=f"say {HOSTILE}", id="hostile <i>task</i>", reference="42", verifier="exact", grader="exact")
        ids["best_of_n"] = (await s.run("best_of_n", task, settings={"n": 3}, budget="calls=8,tokens=9000")).run_id
    async with session(path, lambda call: "42" if "What is wrong" in call.text else "41") as s:
        settings: dict[str, Any] = {"n0": 2, "rounds": 2, "verifier": NUMERIC}
        ids["iad"] = (await s.run("iad", "What is 6 times 7?", settings=settings)).run_id
    async with session(path, lambda call: str(call.random.randrange(40, 43))) as s:
        ids["majority"] = (await s.run("majority", "Vote.", settings={"n": 4})).run_id
    async with session(path, engine=ScriptedEngine(plangen_kit.Model(plan="wrong"))) as s:
        ids["plangen"] = (await s.run(plangen_kit.graph(**plangen_kit.SMALL), "Plan a meeting.")).run_id
    async with session(path, engine=ScriptedEngine("42")) as s:
        with pytest.raises(BurnishError):
            await s.run(one_node("broken", _fails), "Fail.", on_start=lambda id: ids.update(failed=id))
        tasks = [Task(id=f"t{i}", prompt=f"number {i}?", verifier="exact", reference=str(i)) for i in range(60)]
        async for result in s.batch("single", tasks, name="sixty", on_start=lambda id: ids.update(batch=id)):
            assert result.error is None
    ids["running"] = await _in_progress(path)
    ids["comparison"] = await _comparison(path)
    return ids


async def _fails(state: Any) -> Any:
    raise RuntimeError("this <b>never</b> works\x1b[31m")


async def _in_progress(path: Path) -> str:
    """A run that this process has not ended, with one call in flight and one retrieval."""
    store = await Store.open(url(path))
    journal = await begun(store)
    run = journal.spec.id
    await journal.write(StepStart(position="/a", node="a"))
    await journal.write(intent("/a/x0", step="/a"), outcome("/a/x0"), candidate(run, "/a/c0"), judged(run, "/a/c0"))
    await journal.write(intent("/a/retrieve", kind="retrieve", engine="", model="", prompt="", sampling=None))
    await journal.write(Outcome(position="/a/retrieve", state="ok", value=PASSAGE, seconds=0.1), intent("/a/x1", step="/a"))
    await store.close()
    return run


async def _comparison(path: Path) -> str:
    tasks = [Task(id=f"t{i}", prompt=f"number {i}?", reference=str(i), grader="exact", verifier="exact") for i in range(6)]
    plan = Plan.of("duel", [Arm.of("single"), Arm.of("majority:n=3")], tasks)
    async with Session(ScriptedEngine(lambda call: call.text.split()[1].rstrip("?")), store=url(path)) as s:
        await carry.carry_out(s, plan)
    reader = Store.open_reader(url(path))
    try:
        return next(b.id for b in reader.batches() if b.name.startswith("duel/"))
    finally:
        reader.close()


@contextmanager
def viewed(path: Path, **options: Any) -> Iterator[TestClient]:
    """A client of the viewer of the store in a folder."""
    reader = Store.open_reader(url(path))
    try:
        with TestClient(create_app(reader, **options), base_url="http://localhost:8600") as client:
            yield client
    finally:
        reader.close()


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """The folder of the store, and the ids of what it holds."""
    folder = tmp_path_factory.mktemp("view")
    return folder, asyncio.run(fill(folder))


@pytest.fixture
def client(stored):
    with viewed(stored[0]) as found:
        yield found


class Page(HTMLParser):
    """What is on a page: elements with their attributes, text, and where links lead."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements, self.links, self.open, self.text = [], [], [], ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag == "a":
            self.links.append(dict(attrs)["href"])
        if tag not in ("meta", "link", "input", "br", "img"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        if tag not in ("option", "p", "li", "dt", "dd"):
            assert self.open[-1] == tag, f"</{tag}> ends <{self.open[-1]}>"
        if tag in self.open:
            while self.open.pop() != tag:
                pass

    def handle_data(self, data):
        self.text += data

    def of(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


def page(client, address, status=200):
    answer = client.get(address)
    assert answer.status_code == status, answer.text
    return Page(answer.text)


def harmless(found: Page) -> None:
    """Nothing on the page came from anywhere but the viewer."""
    assert {s.get("src") for s in found.of("script")} <= {"/static/theme.js", "/static/view.js"}
    assert not {"img", "iframe", "object", "embed", "style", "b", "base"} & {tag for tag, _ in found.elements}
    for tag, attributes in found.elements:
        assert not [a for a in attributes if a.startswith("on") or a == "style"], (tag, attributes)
    assert all(re.match(r"[/#?]", link) and not link.startswith("//") for link in found.links), found.links
    assert "49 {% raw" not in found.text
    assert all(c in "\n\t" or c.isprintable() for c in found.text.replace("\u2007", "")), "a control character is on the page"


def run_links(found):
    return {a for a in found.links if re.fullmatch(r"/runs/[0-9a-f]{32}", a)}
