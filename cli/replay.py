"""`burnish runs replay`: what another verifier or policy would have made of recorded runs, without a model."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..core.errors import ConfigError
from ..core.ids import Json
from ..core.text import one_line, printable
from . import completion
from .errors import FAILURE, OK
from .lookup import batch_id, reader
from .options import AsJson, Store
from .output import count, emit, number, quiet_stdout, say, short, show, show_table
from .results import COLOURS, verdict_json
from .values import pairs, verifier_of

if TYPE_CHECKING:
    from ..compare.reselect import Change, Ending, Replayed
    from ..core.verdict import Verdict
    from ..traces.reader import Reader

_SHOWN = 100


def replay(
    run: Annotated[str | None, typer.Argument(metavar="[ID]", help="The run.", autocompletion=completion.runs)] = None,
    batch: Annotated[str | None, typer.Option("--batch", metavar="ID", help="All runs of a batch, by id or name.")] = None,
    verifier: Annotated[
        str | None, typer.Option("--verifier", metavar="NAME", help="Judges in place of the run's own; none for nobody.")
    ] = None,
    grader: Annotated[
        str | None, typer.Option("--grader", metavar="NAME", help="Measures in place of the task's own; none for nobody.")
    ] = None,
    select: Annotated[
        str | None,
        typer.Option("--select", metavar="GRAPH", help="Chooses in place of the run's graph.", autocompletion=completion.graphs),
    ] = None,
    setting: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Setting of the graph; repeatable.")
    ] = None,
    store: Store = None,
    as_json: AsJson = False,
) -> int:
    """Replay runs under another verifier or policy: what was recorded is judged and chosen from anew; no model is asked.

    What the other policy would have asked for and was never generated is named as missing. Nothing is stored.

    With --json, data is {runs: [{run_id, task_id, changed, before, after, rejudged, missing, error}], totals}; before and after
    are {answer, position, outcome, score, right, candidates, calls, output_tokens}. Exit status 1 if a replay failed.
    """
    if (run is None) == (batch is None):
        raise ConfigError("say which runs are to be replayed", hint="one of: ID, --batch ID")
    with reader(store) as found:
        if run is not None:
            ids, left_out = [found.resolve(run)], 0
        else:
            ids, left_out = _of_batch(found, batch_id(found, batch or ""))
        with quiet_stdout():
            made = asyncio.run(_replayed(found, ids, _change(verifier, grader, select, setting)))
    totals = _totals(made)
    if as_json:
        emit({"runs": [_json(one) for one in made], "totals": {**totals, "left_out": left_out}})
    elif run is not None:
        _print_one(made[0])
    else:
        _print_many(made, totals, left_out)
    return FAILURE if totals["failed"] else OK


def _change(verifier: str | None, grader: str | None, select: str | None, setting: list[str] | None) -> Change:
    from ..compare.reselect import Change

    changes: dict[str, Any] = {"settings": pairs(setting or (), "--set"), "graph": select}
    for name, text in (("verifier", verifier), ("grader", grader)):
        if text is not None:
            changes[name] = None if text == "none" else verifier_of(text)
    return Change(**changes)


async def _replayed(found: Reader, ids: Sequence[str], change: Change) -> list[Replayed]:
    from ..compare.reselect import replay_runs

    return [one async for one in replay_runs(found, ids, change)]


def _of_batch(found: Reader, batch: str) -> tuple[list[str], int]:
    """The runs of a batch that are done, the oldest first, and how many are not."""
    rows = found.runs(batch=batch, limit=next(b.runs for b in found.batches() if b.id == batch) + 1)
    done = [row.id for row in reversed(rows) if row.status == "done"]
    return done, len(rows) - len(done)


def _totals(made: Sequence[Replayed]) -> dict[str, Any]:
    turned = Counter(f"{v.before.outcome} to {v.after.outcome}" for one in made for v in one.rejudged if v.before is not None)
    measured = [one for one in made if one.error is None and one.before.right is not None and one.after.right is not None]
    return {
        "runs": len(made),
        "changed": sum(one.changed for one in made if one.error is None),
        "failed": sum(one.error is not None for one in made),
        "missing": sum(len(one.missing) for one in made),
        "verdicts": dict(turned),
        "graded": len(measured),
        "right_before": sum(bool(one.before.right) for one in measured),
        "right_after": sum(bool(one.after.right) for one in measured),
        "calls_before": sum(one.before.calls for one in made),
        "calls_after": sum(one.after.calls for one in made),
    }


def _json(one: Replayed) -> dict[str, Json]:
    error = one.error
    rejudged: list[Json] = [
        {
            "position": v.position,
            "preview": v.preview,
            "before": verdict_json(v.before) if v.before else None,
            "after": verdict_json(v.after),
        }
        for v in one.rejudged
    ]
    return {
        "run_id": one.run_id,
        "task_id": one.task_id,
        "changed": one.changed,
        "before": asdict(one.before),
        "after": asdict(one.after),
        "rejudged": rejudged,
        "missing": list(one.missing),
        "error": {"kind": error.code, "message": error.message, "hint": error.hint} if error else None,
    }


def _print_one(one: Replayed) -> None:
    show(f"run {one.run_id}, task {printable(one.task_id)}")
    rows = [["before", *_cells(one.before)], ["after", *_cells(one.after)]]
    show_table(["", "ENDED", "SCORE", "RIGHT", "CANDIDATES", "CALLS", "CHOSEN", "ANSWER"], rows, COLOURS)
    if one.error is not None:
        show(f"the replay failed: {printable(one.error.message)}")
    else:
        show("another answer" if one.changed else "the same answer")
    if one.rejudged:
        show()
        rows = [[v.position, _said(v.before), _said(v.after), v.preview] for v in one.rejudged]
        show_table(["CANDIDATE", "BEFORE", "AFTER", "TEXT"], rows, COLOURS)
    if one.missing:
        show()
        show(f"never generated: {count(len(one.missing), 'call')}")
        for position in one.missing[:_SHOWN]:
            show(f"  {printable(position)}")


def _print_many(made: Sequence[Replayed], totals: dict[str, Any], left_out: int) -> None:
    rows: list[list[str]] = []
    for one in made[:_SHOWN]:
        answer = "failed" if one.error else "another" if one.changed else "same"
        grades = f"{_right(one.before.right)} {_right(one.after.right)}"
        ends = f"{one.before.outcome or '-'}", f"{one.after.outcome or '-'}"
        rows.append([one.task_id, short(one.run_id), *ends, answer, grades, f"{len(one.missing):,}", one.after.answer or ""])
    show_table(["TASK", "RUN", "BEFORE", "AFTER", "ANSWER", "RIGHT", "MISSING", "NEW ANSWER"], rows, COLOURS)
    say(f"{count(len(made), 'run')}: {totals['changed']:,} with another answer, {totals['failed']:,} failed")
    if totals["graded"]:
        n = totals["graded"]
        shares = [f"{totals[key]:,} of {n:,} ({totals[key] / n:.1%})" for key in ("right_before", "right_after")]
        say(f"right: {shares[0]} before, {shares[1]} after")
    else:
        say("right: nothing says what is right; --grader NAME measures")
    if totals["verdicts"]:
        say("verdicts: " + ", ".join(f"{n:,} from {name}" for name, n in totals["verdicts"].items()))
    say(f"calls: {totals['calls_before']:,} before, {totals['calls_after']:,} after; never generated: {totals['missing']:,}")
    if left_out:
        say(f"left out, as they are not done: {count(left_out, 'run')}")


def _cells(end: Ending) -> list[str]:
    facts = [end.outcome or "-", number(end.score), _right(end.right), f"{end.candidates:,}", f"{end.calls:,}"]
    return [*facts, (end.position or "-").lstrip("/"), one_line(end.answer or "")]


def _right(right: bool | None) -> str:
    return "-" if right is None else "yes" if right else "no"


def _said(verdict: Verdict | None) -> str:
    return "-" if verdict is None else verdict.outcome + (f" {number(verdict.score)}" if verdict.score is not None else "")
