"""What the viewer asks of the database, and why it says that a candidate was kept or dropped."""

from contextlib import nullcontext

import pytest

from burnish.core.policy import Selection
from burnish.core.records import Decided, Outcome, StepEnd, StepStart
from burnish.core.verdict import Verdict
from burnish.traces import browse, find
from burnish.traces.nodes import calls_by_step, node_uses
from burnish.traces.store import Store
from burnish.view.why import reasons
from tests.traces_kit import POSTGRES, begun, candidate, intent, judged, outcome, postgres_url, spec


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
async def store(request, tmp_path):
    if request.param == "postgres" and not POSTGRES:
        pytest.skip("no PostgreSQL server")
    with nullcontext(f"sqlite:///{tmp_path}/runs.db") if request.param == "sqlite" else postgres_url() as url:
        opened = await Store.open(url)
        yield opened
        await opened.close()


async def test_sums_by_node_are_the_usage_of_the_run(store):
    journal = await begun(store)
    steps = ("/plan@1", "", "plan"), ("/plan@1/#1/look@1", "/plan@1/#1", "look"), ("/plan@1/look@1", "/plan@1", "look")
    for position, parent, node in steps:
        await journal.write(StepStart(position=position, node=node, parent=parent))
        await journal.write(intent(f"{position}/c", step=position), outcome(f"{position}/c"))
    await journal.write(intent("/loose", step=""), Outcome(position="/loose", state="error", error_code="x"))
    await journal.write(intent("/effect", step="/plan@1", engine="", model="", kind="clock"), intent("/lost", step="/plan@1"))
    await journal.write(StepEnd(position="/plan@1", status="done"))
    reader, run = store.reader(), journal.run_id
    assert find.active(reader)
    uses = {use.path: use for use in node_uses(reader, run, calls_by_step(reader, run))}
    assert list(uses) == [("plan",), ("plan", "look"), ()]
    look = uses["plan", "look"]
    assert (look.steps, look.running, look.calls, look.prompt_tokens, look.output_tokens) == (2, 2, 2, 20, 6)
    assert (uses["plan",].effects, uses["plan",].calls, uses["plan",].running) == (1, 1, 0)
    assert (uses[()].steps, uses[()].failed_calls) == (0, 1)
    usage = reader.usage(run)
    assert sum(use.calls for use in uses.values()) == usage.calls == 4
    assert sum(use.prompt_tokens for use in uses.values()) == usage.prompt_tokens
    assert sum(use.output_tokens for use in uses.values()) == usage.output_tokens
    assert sum(use.micro_usd for use in uses.values()) == pytest.approx(usage.usd * 1e6)


async def test_a_lineage_is_found_however_long_the_run(store):
    journal = await begun(store)
    run, parents = journal.run_id, ()
    for number in range(600):
        one = candidate(run, f"/a/c{number}", parents=parents, depth=number, kind="refine" if parents else "fresh")
        journal.queue(one)
        parents = (one.id,)
    await journal.write(judged(run, "/a/c599"))
    reader = store.reader()
    line = browse.lineage(reader, run, parents[0])
    assert len(line) == 501
    assert [c.depth for c in line] == list(range(99, 600))
    assert line[-1].parents == (line[-2].id,)
    assert browse.with_children(reader, [line[-1].id, line[-2].id]) == {line[-2].id: 1}
    assert [c.id for c in browse.children(reader, line[-2].id, limit=5)] == [line[-1].id]
    pages = [browse.candidates(reader, run, after=after, limit=250) for after in (0, 250, 500)]
    assert [c.depth for page in pages for c in page] == list(range(600))
    assert browse.lineage(reader, "f" * 32, parents[0]) == []


async def test_the_best_come_first_as_searches_rank_them(store):
    journal = await begun(store)
    run = journal.run_id
    verdicts = {
        "bad": Verdict.failed(),
        "unknown": Verdict.abstain("timeout"),
        "some": Verdict.failed(score=0.3),
        "more": Verdict.failed(score=0.6),
        "good": Verdict.passed(0.4),
        "best": Verdict.passed(0.9),
    }
    for name, verdict in verdicts.items():
        await journal.write(candidate(run, f"/a/{name}"), judged(run, f"/a/{name}", verdict))
    order = ["best", "good", "more", "some", "unknown", "bad"]
    reader = store.reader()
    assert [c.position[3:] for c in browse.best_candidates(reader, run, limit=10)] == order
    assert [c.position[3:] for c in browse.best_candidates(reader, run, skip=4, limit=10)] == order[4:]
    said = browse.said(reader, run)
    assert [(s.verifier, s.outcomes) for s in said] == [("exact", {"pass": 2, "fail": 3, "abstain": 1})]


async def test_why_each_candidate_was_kept_or_dropped(store):
    journal = await begun(store)
    run = journal.run_id
    rows = {
        "taken": Verdict.passed(0.9),
        "worse": Verdict.passed(0.4),
        "wrong": Verdict.failed(reason="mismatch"),
        "used": Verdict.failed(score=0.2),
        "silent": None,
    }
    made = {name: candidate(run, f"/s0/{name}") for name in rows}
    for name, verdict in rows.items():
        await journal.write(made[name], *([judged(run, f"/s0/{name}", verdict)] if verdict else []))
    await journal.write(candidate(run, "/s1/lone"))
    choice = Selection(id="x", reason="passed", confidence=0.75)
    await journal.write(Decided(position="/s0", policy="rebase", selection=choice, candidate_id=made["taken"].id))
    reader = store.reader()
    candidates = browse.candidates(reader, run, limit=10)
    said = {}
    for verdict in browse.verdicts_of(reader, [c.id for c in candidates]):
        said.setdefault(verdict.candidate_id, []).append(verdict)
    decisions = browse.decisions(reader, run, limit=5)
    told = reasons(candidates, said, decisions, {made["used"].id: 2}, made["taken"].id)
    by_name = {c.position.rpartition("/")[2]: told[c.id] for c in candidates}
    assert by_name["taken"] == "returned: rebase took it (passed, confidence 0.75)"
    assert by_name["worse"] == "dropped: pass 0.40; the chosen one: pass 0.90"
    assert by_name["wrong"] == "dropped: fail 0.00 (mismatch); the chosen one: pass 0.90"
    assert by_name["used"] == "gone on with: 2 made of it; fail 0.20 (wrong)"
    assert by_name["silent"] == "dropped: not judged; rebase took another one (passed)"
    assert by_name["lone"] == "not judged"
    other = reasons(candidates, said, decisions, {}, made["worse"].id)
    assert other[made["taken"].id].startswith("chosen: rebase")
    assert other[made["worse"].id] == "returned"
    assert (
        browse.decisions_about(reader, run, ["/s0"], [])
        == browse.decisions_about(reader, run, [], [made["taken"].id])
        == decisions
    )
    assert browse.decisions_about(reader, run, ["/s1"], []) == []


async def test_a_search_for_text_pages_and_gives_up_in_time(store, monkeypatch):
    runs = [spec(f"{'Needle' if n % 3 == 0 else 'hay'} {n} {'x' * 400}") for n in range(30)]
    await store.create_runs(runs)
    newest = [r.id for r in sorted(runs, key=lambda r: r.id, reverse=True) if r.task.prompt.startswith("Needle")]
    monkeypatch.setattr(find, "_AT_ONCE", 7)
    reader, wanted = store.reader(), find.Wanted(text="NEEDLE")
    seen, before = [], None
    while True:
        found = find.find_runs(reader, wanted, before=before, limit=3)
        seen += [r.id for r in found.runs]
        if (before := found.behind) is None:
            break
    assert seen == newest
    assert len(seen) == 10
    monkeypatch.setattr(find, "LOOKED_AT", 4)
    # Ids of one millisecond are in no order, so the newest three may all be wanted: the page must not end it before.
    found = find.find_runs(reader, wanted, limit=5)
    assert found.looked_at == 4
    assert found.behind is not None
    assert find.find_runs(reader, find.Wanted(text="needle", status="done"), limit=3).runs == []
    assert find.tally(reader) == {"queued": 30}
    assert not find.active(reader)
    assert find.graphs(reader) == ["best_of_n"]
