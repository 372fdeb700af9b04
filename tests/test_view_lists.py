"""The viewer's lists: paging, filters and search; and what is answered where there is nothing to show."""

import asyncio
import re
import shutil

import pytest
from starlette.testclient import TestClient

from burnish.traces.store import Store
from burnish.view.app import create_app
from burnish.view.pages import calls, candidates
from tests.helpers import session
from tests.view_kit import client as client
from tests.view_kit import harmless, page, run_links, url, viewed
from tests.view_kit import stored as stored


def test_the_list_pages_and_filters(stored, client):
    batch = stored[1]["batch"]
    first = page(client, f"/?batch={batch}")
    second = page(client, next(a for a in first.links if "before=" in a))
    runs = [{a for a in p.links if re.fullmatch(r"/runs/[0-9a-f]{32}", a)} for p in (first, second)]
    assert [len(r) for r in runs] == [50, 10]
    assert not runs[0] & runs[1]
    assert f"/?batch={batch}" in second.links  # Back to the first page.
    assert len(run_links(page(client, "/?task=t7&status=rejected&graph=single"))) == 1
    assert run_links(page(client, "/?task=t7&status=verified")) == set()
    assert all(len(run_links(page(client, f"/?batch={name}&task=t7"))) == 1 for name in ("sixty", batch[-8:]))
    assert not run_links(page(client, "/?batch=%25"))
    assert len(run_links(page(client, "/?q=NUMBER+59"))) == 1
    assert run_links(page(client, "/?q=alert(1)")) == {f"/runs/{stored[1]['best_of_n']}"}
    assert "looked at" in page(client, "/?q=there+is+no+such+text").text


def test_calls_and_candidates_page_and_filter(stored, client, monkeypatch):
    monkeypatch.setattr(calls, "ROWS", 3)
    monkeypatch.setattr(candidates, "ROWS", 3)
    run = stored[1]["plangen"]
    for what, pattern in (
        ("calls", r"/calls/\d+$"),
        ("candidates", r"/candidates/[0-9a-f]+$"),
        ("candidates?order=best", r"/candidates/[0-9a-f]+$"),
    ):
        seen, address = [], f"/runs/{run}/{what}"
        while address:
            found = page(client, address)
            seen += [a for a in found.links if re.search(pattern, a)]
            address = next((a for a in found.links if "after=" in a), None)
        total = int(re.search(r"([\d,]+) in all", found.text)[1].replace(",", ""))
        assert len(set(seen)) == len(seen) == total > 3, what
    models = page(client, f"/runs/{run}/calls?models=1&node=plan")
    assert "effect" not in models.text


@pytest.mark.parametrize(
    ("address", "status"),
    [
        ("/nothing", 404),
        ("/runs/ffff0000ffff0000ffff0000ffff0000", 404),
        ("/runs/%3Cscript%3E", 404),
        ("/runs/{run}/calls/999999", 404),
        ("/runs/{run}/calls/99999999999", 404),
        ("/runs/{run}/calls/-1", 400),
        ("/runs/{run}/calls/" + "f" * 32, 404),
        ("/runs/{run}/calls?after=x", 400),
        ("/runs/{run}/calls?after=%D9%A3", 400),
        ("/runs/{run}/candidates/nope", 404),
        ("/runs/{run}?from=1.5", 400),
        ("/batches/nope", 404),
        ("/?before=nope", 404),
        ("/static/../app.py", 404),
        ("/static/%2e%2e/app.py", 404),
    ],
)
def test_what_there_is_not_has_a_page_that_says_so(stored, client, address, status):
    found = page(client, address.format(run=stored[1]["best_of_n"]), status)
    harmless(found)
    assert str(status) in found.text


def test_a_candidate_or_call_of_another_run_is_not_there(stored, client):
    ids = stored[1]
    own = page(client, f"/runs/{ids['iad']}")
    candidate = next(a for a in own.links if "/candidates/" in a).rpartition("/")[2]
    page(client, f"/runs/{ids['majority']}/candidates/{candidate}", 404)
    call = next(a for a in own.links if re.search(r"/calls/[0-9a-f]{32}$", a)).rpartition("/")[2]
    page(client, f"/runs/{ids['majority']}/calls/{call}", 404)


def test_an_empty_store_has_pages(tmp_path):
    async def make():
        await (await Store.open(url(tmp_path))).close()

    asyncio.run(make())
    with viewed(tmp_path) as client:
        assert "no runs" in page(client, "/").text
        assert "no batches" in page(client, "/batches").text
        page(client, "/?q=x&status=done")


def test_long_texts_are_cut_until_the_whole_is_asked_for(tmp_path):
    asyncio.run(one_long_run(tmp_path))
    with viewed(tmp_path) as client:
        run = next(iter(run_links(page(client, "/"))))
        links = page(client, run).links
        candidate = next(a for a in links if "/candidates/" in a)
        for address in (run, candidate, f"{run}/calls/2"):
            found = page(client, address)
            assert "the end" not in found.text
            assert re.search(r"and 10,0\d\d characters more", found.text)
            assert "the end" in page(client, f"{address}?whole=1").text


async def one_long_run(path):
    async with session(path, "\n" + "long " * 12_000 + "the end") as s:
        await s.run("single", "hi", settings={"max_tokens": 10**6})


def test_a_store_that_cannot_be_read_is_told(stored, tmp_path, client):
    shutil.copy(stored[0] / "runs.db", tmp_path / "runs.db")
    reader = Store.open_reader(f"sqlite:///{tmp_path}/runs.db")
    with TestClient(create_app(reader), base_url="http://localhost") as broken:
        reader.close()
        (tmp_path / "runs.db").write_bytes(b"rubbish" * 1000)
        found = page(broken, "/", 503)
    reader.close()
    assert "not a database" in found.text
