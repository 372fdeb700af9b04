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
from typing import Any

from ..core.errors import BurnishError
from ..core.ids import Json
from ..core.runs import Usage
from ..core.task import Task
from ..core.text import one_line
from . import microtasks
from .evaluate import Evaluation, Graded, Method, batch_name, carry_out, finished, read
from .report import machine, say
from .stats import paired_bootstrap, wilson

SEED, ITEMS, SAMPLES = 2, 12, 8
ENGINE_ARGS: dict[str, Any] = {"max_model_len": 1024, "max_num_seqs": 64}
METHODS = (
    Method(name="single", graph="single", settings={"verifier": None}),
    Method(name="majority", graph="majority", settings={"n": SAMPLES, "verifier": None}),
    Method(name="best_of_n", graph="best_of_n", settings={"n": SAMPLES}),
    Method(name="best_of_n, oracle", graph="best_of_n", settings={"n": SAMPLES}, oracle=True),
)
NOTES = f"""\
majority and both best_of_n draw {SAMPLES} samples; best_of_n returns the first that passes and cancels the rest.
best_of_n judges with each family's own verifier, which sees no reference and checks less than the grader.
best_of_n, oracle judges with the grader itself: verifier and grader are one, so its accuracy is pass@{SAMPLES}, the most
that any selection among {SAMPLES} samples could reach. It is a ceiling, not a result.
Intervals: 95 %, Wilson; differences: paired bootstrap over tasks."""
REJECTED = """\
SELECT c.position, v.verifier, v.reason, v.feedback, c.preview
FROM verdict v JOIN candidate c ON c.id = v.candidate_id
WHERE v.run_id = '{run}' AND v.outcome = 'fail' AND NOT v.grading;"""


def demo_tasks(seed: int = SEED, items: int = ITEMS) -> list[Task]:
    """The tasks of all families."""
    return [task for family in microtasks.FAMILIES for task in microtasks.tasks(family, seed, items)]


async def evaluate(
    store: str, tasks: Sequence[Task], *, prefix: str, engine: Any = None, recipe: Json = None
) -> list[Evaluation]:
    """All methods on all tasks: what the store has is read, the rest is done. No engine is started if nothing is left.

    Raises:
        BurnishError: no engine, no store, or the demo was stopped; calling again goes on.
    """
    from ..session import Session
    from ..traces.store import Store

    opened = await Store.open(store)
    try:
        reader = opened.reader()
        left = [m for m in METHODS if not finished(reader, batch_name(prefix, m), len(tasks))]
        if left:
            if engine is None:
                from ..engine.registry import make_engine
                from ..engine.registry import recipe as recipe_of

                engine, recipe = make_engine("vllm", None, ENGINE_ARGS), recipe_of("vllm", None, ENGINE_ARGS)
            say("starting the engine (about half a minute with vLLM on a CPU)")
            async with Session(engine, store=opened, concurrency=64, recipes={"default": recipe}) as session:
                for method in left:
                    say(f"{method.name}: {len(tasks)} tasks")
                    await carry_out(session, method, tasks, prefix=prefix, seed=SEED)
        return [read(reader, method, tasks, prefix=prefix) for method in METHODS]
    finally:
        await opened.close()


def comparison(evaluations: Sequence[Evaluation]) -> str:
    """The table of all methods."""
    rows = [("method", "right", "accuracy [95 %]", "generated", "prompt", "cached", "seconds", "abstained")]
    for e in evaluations:
        generated, prompt, abstained = (f"{e.total(f):,}" for f in ("output_tokens", "prompt_tokens", "abstentions"))
        right = f"{sum(e.passes)}/{len(e.passes)}"
        accuracy = str(wilson(sum(e.passes), len(e.passes)))
        rows.append((e.method, right, accuracy, generated, prompt, f"{e.cached_share:.0%}", f"{e.seconds:.1f}", abstained))
    lines = _aligned(rows)
    single = evaluations[0]
    for e in evaluations[1:]:
        lines.append(f"{e.method} less {single.method}: {paired_bootstrap(_numbers(e), _numbers(single))}")
    return "\n".join(lines)


def by_family(evaluations: Sequence[Evaluation], tasks: Sequence[Task]) -> str:
    """Right answers for each family and method."""
    families = [str(task.metadata.get("family", "")) for task in tasks]
    rows = [("right answers by family", *(e.method for e in evaluations))]
    for family in dict.fromkeys(families):
        counts = (sum(p for p, f in zip(e.passes, families, strict=True) if f == family) for e in evaluations)
        rows.append((family, *(f"{n}/{families.count(family)}" for n in counts)))
    return "\n".join(_aligned(rows))


def trace_commands(path: Path, evaluations: Sequence[Evaluation]) -> str:
    """How to look at the traces, with the id of a run in which candidates were rejected and one was taken."""
    example = _example(evaluations)
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


def _example(evaluations: Sequence[Evaluation]) -> Graded:
    graded = next(e for e in evaluations if e.method == "best_of_n").graded
    return max(graded, key=lambda g: (g.outcome == "verified" and g.rejected > 0, g.passed, g.rejected))


def _numbers(e: Evaluation) -> list[float]:
    return [float(p) for p in e.passes]


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    pad = [[row[0].ljust(widths[0]), *(cell.rjust(w) for cell, w in zip(row[1:], widths[1:], strict=True))] for row in rows]
    return ["  ".join(cells) for cells in pad]


def to_json(path: Path, evaluations: Sequence[Evaluation]) -> dict[str, Json]:
    """Everything as JSON."""
    usage = [f for f in Usage.__dataclass_fields__ if f != "seconds"]
    methods: list[Json] = []
    for e in evaluations:
        accuracy = wilson(sum(e.passes), len(e.passes))
        methods.append(
            {
                "method": e.method,
                "tasks": len(e.passes),
                "right": sum(e.passes),
                "accuracy": {"value": accuracy.value, "low": accuracy.low, "high": accuracy.high},
                "seconds": round(e.seconds, 2),
                "cached_share": round(e.cached_share, 4),
                "usage": {name: e.total(name) for name in usage},
                "runs": [{"task": g.task_id, "run": g.run_id, "right": g.passed, "outcome": g.outcome} for g in e.graded],
            }
        )
    return {"store": str(path), "seed": SEED, "machine": machine(), "methods": methods}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m burnish.bench.demo", description="best-of-n against one answer, on vLLM")
    parser.add_argument("--store", type=Path, default=Path("demo.db"), help="SQLite file; what it has already is not done again")
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    args = parser.parse_args(arguments)
    tasks, began = demo_tasks(), time.perf_counter()
    say(f"demo: {len(microtasks.FAMILIES)} families of {ITEMS} tasks, into {args.store}")
    try:
        found = asyncio.run(evaluate(f"sqlite:///{args.store}", tasks, prefix=f"demo-{SEED}"))
    except BurnishError as e:
        say(f"error: {e}")
        return e.exit_code
    except KeyboardInterrupt:
        say("stopped; the same command goes on from here")
        return 130
    if args.json:
        print(json.dumps(to_json(args.store, found)))
        return 0
    print("\n".join(["", comparison(found), "", by_family(found, tasks), "", NOTES, "", trace_commands(args.store, found)]))
    say(f"done in {time.perf_counter() - began:.0f} s; run again it only reads {args.store}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
