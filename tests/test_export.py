"""Exports as JSON Lines and as data frames: whole, in order, read again; on both databases."""

import json
import sqlite3
from itertools import islice
from pathlib import Path

import pytest

from burnish import __version__
from burnish.core.errors import ConfigError, StoreError
from burnish.core.ids import new_run_id
from burnish.core.runs import RunEnd
from burnish.core.verdict import Verdict
from burnish.traces import frame
from burnish.traces.export import FACTS, export_lines, read_export
from tests.cli_kit import burnish as burnish
from tests.test_cli_run import JUDGED, RIGHT, scripted
from tests.test_traces_store import store as store
from tests.test_traces_store import url as url
from tests.traces_kit import begun, candidate, gapless, intent, judged, one_of_each, outcome

QUESTION = "What is 17 + 25?"
ODD = 'a "quoted" line\nand \u2028 another, \x1b[1m, \ud800 alone, 🜁'


async def full_run(store, text=ODD):
    journal = await begun(store)
    run_id = journal.run_id
    for record in one_of_each(run_id):
        await journal.write(record)
    long = Verdict.failed("because " * 1000, evidence={"why": ["x" * 3000]})
    parents = (candidate(run_id, "/a/c0").id, candidate(run_id, "/a/c1").id)
    await journal.write(
        intent("/a/y"),
        outcome("/a/y", text * 20),
        candidate(run_id, "/a/c1", text * 20, answer="k" * 500),
        judged(run_id, "/a/c1", long),
        candidate(run_id, "/a/c2", "", kind="merge", parents=parents, depth=1),
    )
    await journal.finish(RunEnd(status="done", outcome="rejected", answer=text * 20, candidate_id=parents[1]), 1.0)
    return run_id


async def test_what_is_exported_is_read_again_whole(store):
    run_id = await full_run(store)
    lines = list(export_lines(store.reader(), [run_id], __version__))
    assert all(line.isascii() and "\n" not in line for line in lines)
    (made,) = read_export(lines)
    run, facts = made.run, made.facts
    assert (run["id"], run["answer"], run["outcome"]) == (run_id, ODD * 20, "rejected")
    assert run["task"] == store.reader().spec(run_id).task.to_json()
    assert [len(facts[f]) for f in FACTS] == [1, 2, 3, 2, 1, 1]
    call = facts["call"][1]
    assert (call["text"], call["position"], call["prompt_tokens"]) == (ODD * 20, "/a/y", 10)
    assert call["prompt"]["messages"] == [{"role": "user", "content": "hello"}]
    assert call["request"] == {"role": "proposer", "sampling": {"temperature": 0.7}}
    first, second, third = facts["candidate"]
    assert (second["text"], second["answer"], third["text"]) == (ODD * 20, "k" * 500, "")
    assert (first["parents"], third["parents"], third["parent_id"]) == ([], [first["id"], second["id"]], first["id"])
    short, long = facts["verdict"]
    assert (short["feedback"], short["evidence"]) == ("it is 42", {})
    assert (long["feedback"], long["evidence"]) == ("because " * 1000, {"why": ["x" * 3000]})
    assert facts["decision"][0]["details"] == {"z": 1, "a": [2]}
    seqs = [v["seq"] for f in FACTS for v in facts[f]] + [v["ended_seq"] for f in ("step", "call") for v in facts[f]]
    assert gapless(sorted(seqs))
    assert not any(name.endswith("_sha") or name in ("owner", "preview") for f in FACTS for v in facts[f] for name in v)


async def test_an_export_is_made_page_by_page(store):
    journal = await begun(store)
    await journal.write(*(intent(f"/a/{i}", prompt=f"prompt {i}") for i in range(450)))
    reader, read = store.reader(), []
    plain = reader.texts

    def counted(shas):
        read.append(len(shas))
        return plain(shas)

    reader.texts = counted
    lines = export_lines(reader, [journal.run_id], __version__)
    first = list(islice(lines, 2 + 100))
    assert json.loads(first[-1])["position"] == "/a/99"
    assert read == [1, 201], "the other two pages are not read before they are needed"
    rest = list(lines)
    assert [json.loads(line)["seq"] for line in rest[:-1]] == list(range(101, 451))
    assert read[2:4] == [201, 51]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda lines: [], "line 0"),
        (lambda lines: lines[:-1], "not whole"),
        (lambda lines: lines[1:], "line 1 is not the beginning"),
        (lambda lines: [*lines[:4], *lines[5:]], "not whole"),
        (lambda lines: [*lines[:3], *lines[1:]], "not whole"),
        (lambda lines: [lines[0], *lines[2:]], "not whole"),
        (lambda lines: [*lines[:3], lines[3][:20]], "line 4 is no JSON"),
        (lambda lines: [*lines[:3], "[1]", *lines[3:]], "line 4 is no JSON object"),
        (lambda lines: [lines[0].replace('"schema":1', '"schema":2'), *lines[1:]], "format 2"),
        (lambda lines: [lines[0], "[" * 100_000], "line 2 is no JSON"),
    ],
)
async def test_an_export_that_was_cut_or_changed_is_refused(tmp_path, change, told):
    from burnish.traces.store import Store

    store = await Store.open(f"sqlite:///{tmp_path}/x.db")
    lines = list(export_lines(store.reader(), [await full_run(store, "plain")], __version__))
    await store.close()
    with pytest.raises(ConfigError, match=told):
        list(read_export(change(lines)))


async def test_what_later_versions_add_is_passed_over(store):
    lines = list(export_lines(store.reader(), [await full_run(store)], __version__))
    added = [*lines[:2], '{"type":"mood","run_id":"x"}', *lines[2:]]
    assert next(read_export(added)).facts == next(read_export(lines)).facts


async def test_a_missing_text_is_an_error_and_no_gap(store):
    with pytest.raises(StoreError, match="no stored text"):
        store.reader().texts(["0" * 32])
    assert store.reader().texts([]) == {}
    lines = list(export_lines(store.reader(), [new_run_id()], __version__))
    assert len(lines) == 1, "a run that was removed meanwhile"


def test_on_the_command_line(burnish):
    ids = [burnish("run", "best_of_n", QUESTION, *RIGHT, *JUDGED, "--set", "n=2", "--json").data["run_id"] for _ in range(3)]
    one = burnish("runs", "export", ids[0], ids[0][-8:]).out.splitlines()
    (exported,) = read_export(one)
    assert exported.run["id"] == ids[0]
    whole = burnish("runs", "export", "--all").out.splitlines()
    assert [e.run["id"] for e in read_export(whole)] == ids[::-1]
    done = burnish("runs", "export", "--all", "--out", "runs.jsonl", "--json").data
    with open("runs.jsonl") as file:
        assert [e.run["id"] for e in read_export(file)] == ids[::-1]
    assert (done["runs"], done["lines"], done["bytes"]) == (3, len(whole), Path("runs.jsonl").stat().st_size)
    assert Path("runs.jsonl").stat().st_mode & 0o777 == 0o600
    assert not Path("runs.jsonl.partial").exists()


def test_an_export_never_writes_over_a_file_and_leaves_no_half(burnish):
    run_id = burnish("run", "single", QUESTION, *scripted("y" * 1000), "--json").data["run_id"]
    Path("there.jsonl").write_text("mine")
    refused = burnish("runs", "export", run_id, "-o", "there.jsonl")
    assert (refused.status, Path("there.jsonl").read_text()) == (2, "mine")
    assert burnish("runs", "export", run_id, "-o", "nowhere/x.jsonl").status == 2
    database = sqlite3.connect("burnish.db")
    database.execute("DELETE FROM blob WHERE size = 1000")
    database.commit()
    database.close()
    broken = burnish("runs", "export", run_id, "-o", "new.jsonl")
    assert (broken.status, "no stored text" in broken.err) == (6, True)
    assert list(Path().glob("new.jsonl*")) == []


def test_which_runs_has_to_be_said(burnish):
    burnish("run", "single", QUESTION, *RIGHT, "--json")
    assert burnish("runs", "export").status == 2
    assert burnish("runs", "export", "abcd1234", "--all").status == 2
    unknown = burnish("runs", "export", "abcd1234")
    assert (unknown.status, unknown.out) == (2, "")
    assert json.loads(burnish("runs", "export", "--batch", "none", "--json").out)["error"]["kind"] == "config"


async def test_frames_have_a_row_for_each_fact(store, monkeypatch):
    pandas = pytest.importorskip("pandas")
    run_id = await full_run(store)
    other = await full_run(store)
    monkeypatch.setenv("BURNISH_STORE", store.url)
    assert list(frame("runs").id) == [other, run_id]
    made = frame()
    assert list(made.position) == ["/a/c0", "/a/c1", "/a/c2"] * 2
    assert list(made.chosen) == [False, True, False] * 2
    assert list(made.run_outcome) == ["rejected"] * 6
    assert made.created.dt.tz is not None
    assert not any(name.endswith(("_sha", "_ns")) for name in made)
    assert list(frame("candidates", runs=[run_id[-10:]], texts=True).text) == ["42", ODD * 20, ""]
    verdicts = frame("verdicts", runs=[run_id], texts=True)
    assert list(verdicts.feedback) == ["it is 42", "because " * 1000]
    calls = frame("calls", texts=True)
    assert calls.groupby("run_id").prompt_tokens.sum().to_dict() == {run_id: 20, other: 20}
    assert calls.text[1] == ODD * 20
    assert calls.sent.astype("int64")[0] == store.reader().calls(other)[0].sent_ns
    assert frame("runs", texts=True).answer[0] == ODD * 20
    empty = frame("calls", batch="none")
    assert (len(empty), list(empty.columns)) == (0, list(frame("calls").columns))
    assert isinstance(empty, pandas.DataFrame)


async def test_frames_that_cannot_be_made(store, monkeypatch):
    pytest.importorskip("pandas")
    with pytest.raises(ConfigError, match="no frame of"):
        frame("tells", store=store.url)
    with pytest.raises(ConfigError, match="there is no run"):
        frame("runs", store=store.url, runs=["abcd1234"])
    monkeypatch.setitem(__import__("sys").modules, "pandas", None)
    with pytest.raises(ConfigError, match="need pandas") as caught:
        frame("runs", store=store.url)
    assert "pip install" in caught.value.hint
