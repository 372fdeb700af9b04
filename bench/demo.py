"""The demo: what a verifier makes of a small model, on real vLLM, and how to look at what happened.

Six families of small tasks, twelve of each; one answer, the vote of eight, and the best of eight under two verifiers.
What is done stays in the database, so a second call only reads it, and one that was interrupted goes on.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import sqlite3
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..compare.plan import Arm, Plan
from ..core.ids import Json
from ..core.text import one_line
from . import microtasks
from .arguments import told
from .evaluate import carried_out
from .report import aligned, machine, say

if TYPE_CHECKING:
    from ..compare.summary import ArmSummary
    from ..compare.trial import Trial, Trials

SEED, ITEMS, SAMPLES = 2, 12, 8
ARMS = (
    Arm(name="single", graph="single", verifier="none"),
    Arm(name="majority", graph="majority", settings={"n": SAMPLES}, verifier="none"),
    Arm(name="best_of_n", graph="best_of_n", settings={"n": SAMPLES}),
    Arm(name="best_of_n, oracle", graph="best_of_n", settings={"n": SAMPLES}, verifier="grader"),
)
NOTES = f"""\
majority and both best_of_n draw {SAMPLES} samples; best_of_n returns the first that passes and cancels the rest.
best_of_n judges with each family's own verifier, which sees no reference and checks less than the grader.
best_of_n, oracle judges with the grader itself: verifier and grader are one, so its accuracy is pass@{SAMPLES}, the most
that any selection among {SAMPLES} samples could reach. It is a ceiling, not a result."""
REJECTED = """\
SELECT c.position, v.verifier, v.reason, v.feedback, c.preview
FROM verdict v JOIN candidate c ON c.id = v.candidate_id
WHERE v.run_id = '{run}' AND v.outcome = 'fail' AND NOT v.grading;"""


def plan(items: int = ITEMS) -> Plan:
    """The demo's comparison."""
    return Plan(name=f"demo-{SEED}", arms=ARMS, tasks=microtasks.all_tasks(SEED, items), seeds=(SEED,))


def tables(what: Plan, arms: Sequence[ArmSummary]) -> str:
    """What the methods make of the tasks: accuracy, costs, the verifiers' part, and each family."""
    from ..compare import report

    found = (
        report.accuracy_rows(arms),
        report.cost_rows(arms, {}),
        report.verifier_rows(arms),
        report.quality_rows(arms),
        report.group_rows(arms),
    )
    shown = [line for rows in found if rows for line in (*aligned(rows), "")]
    return "\n".join([*shown, *report.notes(what, arms, ["SmolLM2-135M-Instruct on vLLM"]), "", NOTES])


def trace_commands(path: Path, trials: Trials) -> str:
    """How to look at the traces, with the id of a run in which candidates were rejected and one was taken."""
    example = _example(trials)
    query = REJECTED.format(run=example.run_id)
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
        rows = [" | ".join(one_line(str(value), 60) for value in row) for row in db.execute(query).fetchmany(4)]
    store = f"--store sqlite:///{path}"
    return "\n".join(
        [
            f"{path} holds every call, candidate and verdict. To look at it:",
            f"  burnish runs list {store}",
            f"  burnish runs tree {example.run_id[-8:]} {store}",
            f"  burnish runs show {example.run_id[-8:]} {store}",
            f"which candidates of that run ({example.task_id}) were rejected, and why:",
            f'  sqlite3 {path} "{query}"',
            *(f"    {row}" for row in rows),
        ]
    )


def _example(trials: Trials) -> Trial:
    def telling(t: Trial) -> tuple[bool, bool, int]:
        rejected = sum(c.said == "fail" for c in t.candidates)
        return t.outcome == "verified" and rejected > 0, t.right is True, rejected

    return max(trials["best_of_n"], key=telling)


def to_json(path: Path, what: Plan, arms: Sequence[ArmSummary]) -> dict[str, Json]:
    """Everything as JSON."""
    from ..compare import report

    return {"store": str(path), "machine": machine(), **report.to_json(what, arms)}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m burnish.bench.demo", description="best-of-n against one answer, on vLLM")
    parser.add_argument("--store", type=Path, default=Path("demo.db"), help="SQLite file; what it has already is not done again")
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    args = parser.parse_args(arguments)
    what, began = plan(), time.perf_counter()
    say(f"demo: {len(microtasks.FAMILIES)} families of {ITEMS} tasks, into {args.store}")

    def show(trials: Trials) -> None:
        from ..compare.summary import summarise

        arms = summarise(what, trials)
        if args.json:
            print(json.dumps(to_json(args.store, what, arms)))
            return
        print("\n".join(["", tables(what, arms), "", trace_commands(args.store, trials)]))
        say(f"done in {time.perf_counter() - began:.0f} s; run again it only reads {args.store}")

    return told(lambda: asyncio.run(carried_out(f"sqlite:///{args.store}", what)), show)


if __name__ == "__main__":
    sys.exit(main())
