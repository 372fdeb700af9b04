"""The viewer's pages over stored runs: what they show, and that nothing in them can act."""

import re
import sqlite3
import time

import pytest

from burnish.traces.leases import this_process
from tests.view_kit import HOSTILE, Page, harmless, page, run_links
from tests.view_kit import client as client
from tests.view_kit import stored as stored

KINDS = ("best_of_n", "iad", "majority", "plangen", "failed", "running")


@pytest.mark.parametrize("kind", KINDS)
def test_every_page_of_a_run_opens_and_none_can_act(stored, client, kind):
    run = stored[1][kind]
    seen, left = set(), [f"/runs/{run}", "/"]
    while left:
        address = left.pop(0).partition("#")[0]
        mine = f"/runs/{run}" in address or address == "/"
        if address in seen or not mine or len(seen) > 40:
            continue
        seen.add(address)
        found = page(client, address)
        harmless(found)
        left += found.links
    assert f"/runs/{run}/calls" in seen
    assert f"/runs/{run}/candidates" in seen
    if kind != "failed":
        assert any(re.fullmatch(rf"/runs/{run}/calls/\d+", a) for a in seen)
        assert any(re.fullmatch(rf"/runs/{run}/candidates/[0-9a-f]{{32}}", a) for a in seen)


def test_model_text_is_shown_to_the_character(stored, client):
    run = stored[1]["best_of_n"]
    found = page(client, f"/runs/{run}")
    shown = HOSTILE
    for raw, escaped in (
        ("\x1b", "\\x1b"),
        ("\u202e", "\\u202e"),
        ("\u2066", "\\u2066"),
        ("\x00", "\\x00"),
        ("\ud800", "\\ud800"),
    ):
        shown = shown.replace(raw, escaped)
    assert shown in found.text
    assert f"say {shown}" in found.text
    reply = page(client, next(a for a in found.links if re.search(r"/calls/[0-9a-f]{32}$", a)))
    assert shown in reply.text
    assert f"say {shown}" in reply.text


def test_a_run_tells_what_came_of_it_and_why(stored, client):
    found = page(client, f"/runs/{stored[1]['best_of_n']}")
    assert "rejected" in found.text
    assert "all_failed" in found.text
    assert "returned: best_of_n took it (all_failed" in found.text
    assert "dropped: fail 0.00 (mismatch), no better than the chosen one" in found.text
    assert [m["max"] for m in found.of("meter")] == ["8", "9000"]
    assert len([1 for tag, a in found.elements if tag == "svg"]) == 3
    assert {"header", "nav", "main", "footer", "h1"} <= {tag for tag, _ in found.elements}
    assert all(a.get("scope") for a in found.of("th"))


def test_votes_and_scores_by_round_are_shown(stored, client):
    votes = page(client, f"/runs/{stored[1]['majority']}")
    assert "its answer did not win the vote" in votes.text or votes.text.count("majority took") == 1
    assert any(a.get("aria-label") == "Votes" for a in votes.of("table"))
    rounds = page(client, f"/runs/{stored[1]['iad']}")
    assert len(rounds.of("svg")) == 4
    assert "iad took" in rounds.text


def test_plangen_shows_its_nodes_and_its_tree(stored, client):
    run = stored[1]["plangen"]
    found = page(client, f"/runs/{run}")
    with sqlite3.connect(stored[0] / "runs.db") as connection:
        nodes = {node for (node,) in connection.execute("SELECT node FROM step WHERE run_id = ?", (run,))}
    connection.close()
    assert len(nodes) > 3
    assert {a.rpartition("node=")[2] for a in found.links if "calls?node=" in a} == nodes
    assert {a for a in found.links if "/candidates/" in a}


def test_a_failed_run_says_why(stored, client):
    found = page(client, f"/runs/{stored[1]['failed']}")
    assert "RuntimeError: this <b>never</b> works\\x1b[31m" in found.text
    assert "failed" in page(client, "/?status=failed").text


def test_a_run_in_progress_is_asked_for_again_and_a_killed_one_is_not(stored, client):
    folder, ids = stored
    address = f"/runs/{ids['running']}"
    heartbeat(folder, ids["running"], time.time_ns())
    whole = client.get(address)
    assert whole.headers["x-live"] == "1"
    assert Page(whole.text).of("main")[0]["data-live"] == "1"
    part = client.get(f"{address}?part=1")
    assert "<html" not in part.text
    assert "<h1>" in part.text
    assert part.headers["x-live"] == "1"
    assert "running" in part.text
    heartbeat(folder, ids["running"], time.time_ns() - 10**12)
    whole = client.get(address)
    assert whole.headers["x-live"] == "0"
    assert "killed" in whole.text


def heartbeat(folder, run, ns):
    """As the process that has the run tells that it lives."""
    with sqlite3.connect(folder / "runs.db") as connection:
        taken = "UPDATE run SET status = 'running', owner = ?, heartbeat_ns = ? WHERE id = ?"
        connection.execute(taken, (this_process(), ns, run))
    connection.close()


def test_passages_of_a_retrieval_stand_apart(stored, client):
    run = stored[1]["running"]
    calls = page(client, f"/runs/{run}/calls")
    texts = [page(client, a) for a in calls.links if re.search(r"/calls/\d+$", a)]
    found = next(t for t in texts if "passage" in t.text)
    harmless(found)
    assert "passage </pre><script>alert(4)</script>" in found.text
    assert "rank 1, score 0.500, p1" in found.text
    assert any("in flight" in t.text or "not known what came of it" in t.text for t in texts)


def test_the_best_candidates_come_first(stored, client):
    found = client.get(f"/runs/{stored[1]['iad']}/candidates?order=best").text
    outcomes = re.findall(r'class="sign (pass|fail|abstain)"', found)
    assert outcomes == sorted(outcomes, key=["pass", "abstain", "fail"].index)


def test_a_batch_shows_its_runs_and_a_comparison_its_arms(stored, client):
    batch = page(client, f"/batches/{stored[1]['batch']}")
    harmless(batch)
    assert "sixty" in batch.text
    assert len(run_links(batch)) == 50
    comparison = page(client, f"/batches/{stored[1]['comparison']}")
    harmless(comparison)
    assert "majority:n=3" in comparison.text
    assert "6 / 6" in comparison.text
    assert "1.000" in comparison.text
    assert "graded right" in comparison.text
    assert comparison.of("svg")
    assert f"/batches/{stored[1]['batch']}" in page(client, "/batches").links


def test_two_runs_are_compared(stored, client):
    a, b = stored[1]["best_of_n"], stored[1]["majority"]
    found = page(client, f"/diff?a={a}&b={b[-8:]}")
    harmless(found)
    assert "settings.n" in found.text
    assert "they asked for different things" in found.text
    for run in (a, b):
        for what in ("calls", "candidates"):
            address = next(link for link in found.links if f"/runs/{run}/{what}/" in link)
            page(client, address)
    assert "they did and said the same" in page(client, f"/diff?a={a}&b={a}").text
    assert len(page(client, "/diff").of("form")) == 3
    page(client, f"/diff?a={a}&b=ffff0000", 404)
