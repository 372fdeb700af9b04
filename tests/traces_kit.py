"""What the tests of the traces room share: records to write, and databases to write them to."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import create_engine, text

from burnish.core.budget import Spend
from burnish.core.candidate import Candidate
from burnish.core.completion import Completion, TokenCounts
from burnish.core.ids import derived_id, json_hash, new_run_id
from burnish.core.policy import Selection
from burnish.core.prompt import Prompt
from burnish.core.records import Decided, Intent, Judged, Outcome, Record, StepEnd, StepStart, Told
from burnish.core.runs import RunSpec
from burnish.core.sampling import Sampling
from burnish.core.task import Task
from burnish.core.verdict import Verdict
from burnish.traces.journal import RunJournal
from burnish.traces.store import Store

POSTGRES = os.environ.get("BURNISH_TEST_POSTGRES", "")


@contextmanager
def postgres_url() -> Iterator[str]:
    """A schema of its own on the PostgreSQL server, dropped at the end."""
    name = f"t{uuid.uuid4().hex[:12]}"
    server = create_engine(POSTGRES, isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        connection.execute(text(f"CREATE SCHEMA {name}"))
    try:
        joint = "&" if "?" in POSTGRES else "?"
        yield f"{POSTGRES}{joint}options=-csearch_path%3D{name}"
    finally:
        with server.connect() as connection:
            connection.execute(text(f"DROP SCHEMA {name} CASCADE"))
        server.dispose()


def spec(prompt: str = "What is 6 times 7?", **rest: object) -> RunSpec:
    return RunSpec(id=new_run_id(), task=Task(prompt=prompt), graph="best_of_n", **rest)


async def begun(store: Store, **rest: object) -> RunJournal:
    """A run that is accepted and acquired."""
    run = spec(**rest)
    await store.create_run(run)
    return await store.acquire(run.id)


def intent(position: str, *, prompt: str = "hello", step: str = "/a", **rest: object) -> Intent:
    asked = Prompt.of(prompt)
    request = {"role": "proposer", "sampling": {"temperature": 0.7}}
    defaults = {"kind": "generate", "engine": "scripted", "model": "toy", "sampling": Sampling(seed=7)}
    return Intent(
        position=position,
        step=step,
        request=request,
        prompt=asked,
        request_hash=json_hash({"request": request, "prompt": asked.to_json()}),
        **{**defaults, **rest},
    )


def outcome(position: str, text: str = "42", **rest: object) -> Outcome:
    completion = Completion(text, tokens=TokenCounts(prompt=10, cached=4, completion=3, reasoning=1), cost_usd=0.000125)
    return Outcome(position=position, state="ok", **{"completion": completion, "seconds": 0.25, **rest})


def candidate(run_id: str, position: str, text: str = "42", **rest: object) -> Candidate:
    return Candidate(id=derived_id(run_id, position, "candidate"), position=position, text=text, **rest)


def judged(run_id: str, position: str, verdict: Verdict | None = None, **rest: object) -> Judged:
    return Judged(
        position=f"{position}/v.exact",
        candidate_id=derived_id(run_id, position, "candidate"),
        verifier="exact",
        version="1",
        oracle=True,
        verdict=verdict or Verdict.failed("it is 42", reason="mismatch"),
        **rest,
    )


def one_of_each(run_id: str) -> list[Record]:
    """A small run, every kind of record in it."""
    return [
        StepStart(position="/a", node="a"),
        intent("/a/x", reserved=Spend(calls=1, tokens=100)),
        outcome("/a/x", spent=Spend(calls=1, tokens=13, output_tokens=3, usd=0.000125)),
        candidate(run_id, "/a/c0", answer="42"),
        judged(run_id, "/a/c0"),
        Told(scope="/a/s0", number=0, id="e0"),
        Decided(
            position="/a/s0",
            policy="best_of_n",
            selection=Selection(id="e0", reason="best_score", confidence=0.5, details={"z": 1, "a": [2]}),
            candidate_id=derived_id(run_id, "/a/c0", "candidate"),
            options=[{"id": "e0", "score": None}],
        ),
        StepEnd(position="/a", status="done"),
    ]


def numbers(store: Store, run_id: str) -> list[int]:
    """The numbers of all stored facts of a run, in order."""
    reader = store.reader()
    pairs = [(r.seq, r.ended_seq) for rows in (reader.steps(run_id), reader.calls(run_id)) for r in rows]
    found = [n for pair in pairs for n in pair if n is not None]
    for rows in (reader.candidates(run_id), reader.verdicts(run_id), reader.decisions(run_id), reader.tells(run_id)):
        found += [r.seq for r in rows]
    return sorted(found)


def gapless(found: list[int]) -> bool:
    return found == list(range(1, len(found) + 1))


def asked(engine, sql, *values):
    """Rows that plain SQL selects, with a `?` for each value."""
    names = [f"v{i}" for i in range(len(values))]
    for name in names:
        sql = sql.replace("?", f":{name}", 1)
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(text(sql), dict(zip(names, values, strict=True)))]
