"""Calls of a run, runs that are stuck, lists since a time: what the command line says of them."""

import asyncio
import json
import time
from pathlib import Path

import pytest

from burnish.cli.times import since_ns, span_ns, spoken
from burnish.core.errors import ConfigError
from burnish.core.ids import new_run_id
from burnish.core.runs import RunSpec
from burnish.core.task import Task
from burnish.traces.store import Store
from burnish.traces.stuck import find_stuck
from tests.cli_kit import burnish as burnish
from tests.cli_kit import kill, program, start, until
from tests.helpers import rows
from tests.test_cli_process import HANGS, QUESTION, SLOW, STORE, hanging
from tests.test_cli_run import HOSTILE, JUDGED, RIGHT, WRONG, harmless, scripted
from tests.test_cli_runs import many_runs
from tests.test_traces_store import store as store
from tests.test_traces_store import url as url
from tests.traces_kit import begun, intent, spec


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "hangs.py").write_text(HANGS)
    return tmp_path


def test_every_call_is_listed_with_what_it_cost(burnish):
    run_id = burnish("run", "best_of_n", QUESTION, *WRONG, *JUDGED, "--set", "n=3", "--json").data["run_id"]
    calls = burnish("runs", "calls", run_id[:30], "--json").data
    assert [c["position"] for c in calls] == [f"/search@1/s0/x{i}/call" for i in range(3)]
    for call in calls:
        assert (call["role"], call["engine"], call["state"], call["finish_reason"]) == ("proposer", "scripted", "ok", "stop")
        assert (call["prompt_tokens"], call["completion_tokens"]) == (5, 1)
        assert call["seconds"] >= 0
        assert "prompt" not in call
    plain = burnish("runs", "calls", run_id[-8:])
    assert len(plain.out.splitlines()) == 4
    assert plain.err == ""


def test_content_is_the_whole_prompt_and_reply(burnish):
    reply = "x" * 300 + "\x1b[2J"
    run_id = burnish("run", "single", QUESTION, *scripted(reply), "--json").data["run_id"]
    (call,) = burnish("runs", "calls", run_id, "--content", "--json").data
    assert call["text"] == reply
    assert call["prompt"]["messages"][-1] == {"role": "user", "content": QUESTION}
    assert call["request"]["role"] == call["role"]
    plain = burnish("runs", "calls", run_id, "--content").out
    assert f"    {QUESTION}" in plain
    assert "x" * 300 + "\\x1b[2J" in plain


def test_text_of_models_reaches_no_terminal(burnish):
    Path("hostile.jsonl").write_text(json.dumps({"id": HOSTILE, "prompt": HOSTILE}))
    flags = (*scripted(HOSTILE), "--verifier", "exact", "--reference", "x")
    first = burnish("run", "single", HOSTILE, *flags, "--json").data["run_id"]
    second = burnish("run", "single", HOSTILE + "!", *flags, "--json").data["run_id"]
    for command in (("calls", first, "--content"), ("diff", first, second), ("export", first), ("stuck",), ("list",)):
        done = burnish("runs", *command)
        assert done.status == 0
        assert harmless(done.out + done.err), command


def test_failed_calls_alone(burnish):
    flags = ("--engine", "scripted", "--engine-arg", "failures=0.5", "--engine-arg", "accuracy=1")
    run_id = burnish("run", "majority", QUESTION, *flags, "--set", "n=8", "--json").data["run_id"]
    states = [c["state"] for c in burnish("runs", "calls", run_id, "--json").data]
    failed = burnish("runs", "calls", run_id, "--failed", "--json").data
    assert 0 < len(failed) == states.count("error") < 8
    assert all(c["error_code"] and c["error"] for c in failed)
    assert failed[0]["error_code"] in burnish("runs", "calls", run_id, "--failed").out


def test_pages_go_on_behind_a_number(burnish):
    run_id = burnish("run", "best_of_n", QUESTION, *RIGHT, "--set", "n=5", "--json").data["run_id"]
    first = burnish("runs", "calls", run_id, "--limit", "2", "--json")
    assert json.loads(first.out)["truncated"] is True
    after = str(first.data[-1]["seq"])
    rest = burnish("runs", "calls", run_id, "--after", after, "--json")
    assert json.loads(rest.out)["truncated"] is False
    assert [c["position"][-7:] for c in first.data + rest.data] == [f"x{i}/call" for i in range(5)]
    assert f"--after {after}" in burnish("runs", "calls", run_id, "--limit", "2").err


def test_calls_of_a_node_and_effects(burnish):
    run_id = burnish("run", "best_of_n", QUESTION, *RIGHT, "--set", "n=2", "--json").data["run_id"]
    assert len(burnish("runs", "calls", run_id, "--node", "search", "--json").data) == 2
    unknown = burnish("runs", "calls", run_id, "--node", "\x1b[1m")
    assert unknown.status == 2
    assert "its nodes: search" in unknown.err
    assert harmless(unknown.err)


def test_effects_are_no_calls_unless_asked_for(burnish):
    async def with_effect() -> str:
        from burnish.core.records import Intent, Outcome

        store = await Store.open()
        spec = RunSpec(id=new_run_id(), task=Task(prompt="hi"), graph="own")
        await store.create_run(spec)
        journal = await store.acquire(spec.id)
        await journal.write(Intent(position="/a/e", step="/a", kind="weather", request_hash="h", request={"city": "Ulm"}))
        await journal.write(Outcome(position="/a/e", state="ok", value={"rain": True}))
        await store.close()
        return spec.id

    run_id = asyncio.run(with_effect())
    assert burnish("runs", "calls", run_id, "--json").data == []
    (effect,) = burnish("runs", "calls", run_id, "--effects", "--content", "--json").data
    assert (effect["kind"], effect["value"], effect["request"], effect["text"]) == (
        "weather",
        {"rain": True},
        {"city": "Ulm"},
        None,
    )
    assert '{"rain":true}' in burnish("runs", "calls", run_id, "--effects", "--content").out


def test_a_killed_run_is_stuck_with_the_command_that_helps(folder):
    process = start("run", "best_of_n", QUESTION, *SLOW, cwd=folder)
    until(lambda: hanging(folder))
    ((run_id,),) = rows(folder, "SELECT id FROM run")
    assert program("runs", "stuck", *STORE, "--json", cwd=folder).data == []
    (slow,) = program("runs", "stuck", *STORE, "--slow", "0s", "--json", cwd=folder).data
    assert (slow["why"], slow["run_id"], slow["calls_in_flight"]) == ("slow", run_id, 2)
    assert str(process.pid) in slow["go_on"]
    kill(process)
    (found,) = program("runs", "stuck", *STORE, "--json", cwd=folder).data
    assert (found["why"], found["run_id"], found["calls_in_flight"]) == ("killed", run_id, 2)
    assert found["go_on"] == f"burnish runs resume {run_id[-8:]}"
    plain = program("runs", "stuck", *STORE, cwd=folder)
    assert found["go_on"] in plain.out
    (folder / "go").touch()
    resumed = program(*found["go_on"].split()[1:], *STORE, cwd=folder)
    assert resumed.status == 3
    assert program("runs", "stuck", *STORE, cwd=folder).err == "nothing is stuck\n"


def test_a_heartbeat_that_is_missed_is_told_before_the_lease_is_over(folder):
    process = start("run", "best_of_n", QUESTION, *SLOW, cwd=folder)
    until(lambda: hanging(folder))
    reader = Store.open_reader(f"sqlite:///{folder}/runs.db")
    try:
        now = reader.runs()[0].heartbeat_ns
        assert find_stuck(reader, slow_ns=10**15, now_ns=now + 10 * 10**9) == []
        (silent,) = find_stuck(reader, slow_ns=10**15, now_ns=now + 20 * 10**9)
        (killed,) = find_stuck(reader, slow_ns=10**15, now_ns=now + 40 * 10**9)
    finally:
        reader.close()
        kill(process)
    assert (silent.why, killed.why, silent.since_ns) == ("silent", "killed", now)
    assert str(process.pid) in silent.process


def test_waiting_runs_of_a_batch_are_one_line(burnish):
    ids = asyncio.run(many_runs(5))
    found = burnish("runs", "stuck", "--json").data
    of_batch = [f for f in found if f["batch_id"]]
    single = [f for f in found if not f["batch_id"]]
    assert [(f["why"], f["runs"], f["run_id"]) for f in of_batch] == [("queued", 2, None)]
    assert {f["run_id"] for f in single} == set(ids[::2])
    assert of_batch[0]["go_on"] == f"burnish runs resume --batch {of_batch[0]['batch_id'][-8:]}"
    limited = burnish("runs", "stuck", "--limit", "1", "--json")
    assert (len(limited.data), json.loads(limited.out)["truncated"]) == (1, True)
    assert "3 more" in burnish("runs", "stuck", "--limit", "1").err
    # The command does what it says.
    assert burnish(*of_batch[0]["go_on"].split()[1:], *RIGHT).status == 0
    assert len(burnish("runs", "stuck", "--json").data) == 3


def test_runs_queued_behind_a_living_process_only_wait_their_turn(folder):
    (folder / "tasks.jsonl").write_text("".join(f'{{"prompt": "What is {i} + 1?", "reference": "0"}}\n' for i in range(6)))
    flags = [flag for flag in SLOW if flag not in ("--reference", "42")]
    process = start("run", "best_of_n", "--tasks", "tasks.jsonl", *flags, "--concurrency", "1", cwd=folder)
    until(lambda: hanging(folder))
    assert rows(folder, "SELECT count(*) FROM run WHERE status = 'queued'") == [(5,)]
    assert program("runs", "stuck", *STORE, "--json", cwd=folder).data == []
    kill(process)
    found = program("runs", "stuck", *STORE, "--json", cwd=folder).data
    assert [(f["why"], f["runs"]) for f in found] == [("killed", 1), ("queued", 5)]


async def test_both_databases_tell_the_same_of_what_is_stuck(store):
    batch = await store.create_batch({}, "many")
    for _ in range(3):
        await store.create_run(spec(batch_id=batch))
    alone = spec()
    await store.create_run(alone)
    journal = await begun(store)
    await journal.write(intent("/a/x"), intent("/a/y"))
    now = time.time_ns()
    found = find_stuck(store.reader(), slow_ns=0, now_ns=now)
    assert [(f.why, f.run_id, f.batch_id, f.runs, f.calls_in_flight) for f in found] == [
        ("slow", journal.run_id, None, 1, 2),
        ("queued", alone.id, None, 1, 0),
        ("queued", None, batch, 3, 0),
    ]
    await store.close()
    store = await Store.open(store.url)
    await store.acquire(journal.run_id)
    found = find_stuck(store.reader(), slow_ns=0, now_ns=time.time_ns())
    assert [f.why for f in found] == ["queued", "queued"], "when its calls were sent again is not stored"
    await store.close()
    store = await Store.open(store.url)
    found = find_stuck(store.reader(), slow_ns=0, now_ns=time.time_ns())
    assert [(f.why, f.run_id) for f in found if f.why != "queued"] == [("interrupted", journal.run_id)]
    await store.close()


def test_a_list_since_a_time(burnish):
    asyncio.run(many_runs(3))
    new = burnish("run", "single", QUESTION, *RIGHT, "--json").data["run_id"]
    assert len(burnish("runs", "--json").data) == 4
    # Runs are accepted when they are stored, whatever their ids say.
    assert len(burnish("runs", "--since", "1h", "--json").data) == 4
    assert burnish("runs", "--since", "0s", "--json").data == []
    assert new in {r["id"] for r in burnish("runs", "--since", "2020-01-01", "--json").data}
    assert burnish("runs", "--since", "2999-01-01T00:00", "--json").data == []
    assert len(burnish("runs", "--since", "999999999w", "--json").data) == 4
    wrong = burnish("runs", "--since", "yesterday")
    assert (wrong.status, "2h" in wrong.err) == (2, True)


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("1.5m", 90), ("2H", 7200), ("30d", 2_592_000), ("1 w", 604_800)])
def test_spans_of_time(text, seconds):
    assert span_ns(text, "--x") == seconds * 10**9


@pytest.mark.parametrize("text", ["", "d", "-1d", "1y", "1d2h", "1e9s", "٣d", "9999999999s"])
def test_what_is_no_span_of_time(text):
    with pytest.raises(ConfigError, match="no span of time"):
        span_ns(text, "--x")


@pytest.mark.parametrize("text", ["", "soon", "2025-13-01", "99999-01-01"])
def test_what_is_no_moment(text):
    with pytest.raises(ConfigError, match="no time"):
        since_ns(text, "--since")


def test_spans_are_spoken_of_in_their_largest_unit():
    told = [spoken(s * 10**9) for s in (-5, 99, 100, 7000, 172_800)]
    assert told == ["0 s", "99 s", "2 min", "2 h", "2 days"]
    assert abs(time.time_ns() - since_ns("1h", "--x") - 3600 * 10**9) < 60 * 10**9
