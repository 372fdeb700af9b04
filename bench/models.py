"""What selection is worth with a given model: one pool a task set, drawn once, and every method replayed on it.

`single`, `majority` and `best_of_n` at several n, the latter under the task's own verifier and under the grader. Pools
are kept in a database: an interrupted draw goes on, a finished one is only read.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..compare.plan import Arm, Plan
from ..core.errors import BurnishError
from ..core.ids import Json
from .report import aligned, say, write_found

if TYPE_CHECKING:
    from ..compare.summary import ArmSummary
    from ..traces.store import Store

ORDERS = 20


@dataclass(frozen=True, kw_only=True)
class Order:
    """What to measure."""

    model: str | None
    """None for the default model."""
    data: Path | None
    limit: int
    """Tasks of each set."""
    samples: int
    store: Path
    max_model_len: int


def arms(samples: int) -> list[Arm]:
    """The methods, at 2, 4, ... up to so many samples."""
    found = [Arm(name="single", graph="single", verifier="none")]
    ns = [n for n in (2, 4, 8, 16, 32, 64) if n <= samples]
    found += [Arm(name=f"majority {n}", graph="majority", settings={"n": n}, verifier="none") for n in ns]
    found += [Arm(name=f"best_of_n {n}", graph="best_of_n", settings={"n": n}) for n in ns]
    found += [Arm(name=f"oracle {n}", graph="best_of_n", settings={"n": n}, verifier="grader") for n in ns]
    return found


async def measured(name: str, order: Order) -> tuple[Plan, list[ArmSummary]]:
    """One task set: draw what is not drawn yet, replay all methods.

    Raises:
        BurnishError: no data, no engine, no store, or it was stopped; calling again goes on.
    """
    from ..compare.pool import Pool
    from ..compare.replay import replay
    from ..compare.summary import summarise
    from ..traces.store import Store

    store = await Store.open(f"sqlite:///{order.store}")
    try:
        pool_name = f"{name}-{order.limit}x{order.samples}-{order.model or 'default'}"
        await _draw(store, name, pool_name, order)
        pool = Pool.read(store.reader(), pool_name)
    finally:
        await store.close()
    say(f"{name}: replaying in {ORDERS} orders")
    plan = Plan.of(name, arms(order.samples), pool.tasks, tuple(range(ORDERS)))
    return plan, summarise(plan, await replay(pool, plan.arms, orders=ORDERS))


async def _draw(store: Store, name: str, pool_name: str, order: Order) -> None:
    from ..compare import draw
    from ..engine.registry import make_engine, recipe
    from ..session import Session
    from .sets.registry import load_tasks

    tasks = load_tasks(name, order.data, limit=order.limit)
    wanted = draw.Order(name=pool_name, tasks=tasks, k=order.samples)
    args: dict[str, Json] = {"max_model_len": order.max_model_len, "max_num_seqs": 64}
    made = recipe("vllm", order.model, args)
    before = draw.begun(store.reader(), wanted, made)
    if before is not None and not store.reader().unfinished(before.id):
        return
    say(f"{name}: drawing {order.samples} samples for each of {len(tasks)} tasks (the engine takes half a minute to start)")
    engine = make_engine("vllm", order.model, args)
    async with Session(engine, store=store, concurrency=8, recipes={"default": made}, grade_all=True) as session:
        done = 0
        async for result in draw.draw(session, wanted, before, lambda _: None):
            if result.error is not None:
                raise result.error
            done += 1
            if done % max(1, len(tasks) // 10) == 0:
                say(f"  {done} of {len(tasks)} tasks")


def tables(name: str, plan: Plan, found: Sequence[ArmSummary]) -> str:
    """The set's tables."""
    from ..compare import report

    rows = (report.accuracy_rows(found), report.cost_rows(found, {}), report.quality_rows(found))
    lines = [line for table in rows if table for line in (*aligned(table), "")]
    return "\n".join([f"== {name}", *lines, *report.notes(plan, found, [])])


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the tables, write the results. Returns the exit status."""
    from ..compare import report

    parser = argparse.ArgumentParser(prog="python -m burnish.bench.models", description="selection with a given model")
    parser.add_argument("sets", nargs="*", default=["micro"], help="task sets, as in docs/task-sets.md")
    parser.add_argument("--model", help="a model by name (burnish models list); the default model if left out")
    parser.add_argument("--data", type=Path, help="folder of the sets' files; else BURNISH_DATA")
    parser.add_argument("--limit", type=int, default=60, help="tasks of each set")
    parser.add_argument("--samples", type=int, default=16, help="samples of each task")
    parser.add_argument("--max-model-len", type=int, default=2048, help="longest prompt and answer together, in tokens")
    parser.add_argument("--store", type=Path, default=Path("models.db"), help="SQLite file that keeps the samples")
    parser.add_argument("--out", type=Path, help="folder for models-MODEL-SETS.json")
    args = parser.parse_args(arguments)
    order = Order(
        model=args.model,
        data=args.data,
        limit=args.limit,
        samples=args.samples,
        store=args.store,
        max_model_len=args.max_model_len,
    )
    found: dict[str, Json] = {}
    try:
        for name in args.sets:
            plan, summaries = asyncio.run(measured(name, order))
            print(tables(name, plan, summaries), flush=True)
            found[name] = report.to_json(plan, summaries)
    except BurnishError as e:
        say(f"error: {e}")
        return e.exit_code
    if args.out:
        name = "-".join([(args.model or "default").replace("/", "-"), *args.sets])
        write_found(args.out / f"models-{name}.json", args.model, {"sets": found})
    return 0


if __name__ == "__main__":
    sys.exit(main())
