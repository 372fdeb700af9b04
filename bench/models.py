"""What selection is worth with a given model: one pool a task set, drawn once, and every method replayed on it.

`single`, `majority` and `best_of_n` at several n, the latter under the task's own verifier and under the grader. Pools
are kept in a database: an interrupted draw goes on, a finished one is only read.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..compare.plan import Arm, Plan
from ..core.ids import Json
from .arguments import carry_out, model_label, model_parser
from .evaluate import chosen_tasks, drawn_pool
from .report import aligned, say

if TYPE_CHECKING:
    from ..compare.summary import ArmSummary

ORDERS = 20


def arms(samples: int) -> list[Arm]:
    """The methods, at 2, 4, ... up to so many samples."""
    found = [Arm(name="single", graph="single", verifier="none")]
    ns = [n for n in (2, 4, 8, 16, 32, 64) if n <= samples]
    found += [Arm(name=f"majority {n}", graph="majority", settings={"n": n}, verifier="none") for n in ns]
    found += [Arm(name=f"best_of_n {n}", graph="best_of_n", settings={"n": n}) for n in ns]
    found += [Arm(name=f"oracle {n}", graph="best_of_n", settings={"n": n}, verifier="grader") for n in ns]
    return found


async def measured(name: str, order: argparse.Namespace) -> tuple[Plan, list[ArmSummary]]:
    """One task set: draw what is not drawn yet, replay all methods.

    Raises:
        BurnishError: no data, no engine, no store, or it was stopped; calling again goes on.
    """
    from ..compare.replay import replay
    from ..compare.summary import summarise
    from ..engine.registry import make_engine, recipe

    args: dict[str, Json] = {"max_model_len": order.max_model_len, "max_num_seqs": 64}
    pool = await drawn_pool(
        f"sqlite:///{order.store}",
        f"{name}-{order.limit}x{order.samples}-{order.model or 'default'}",
        chosen_tasks(name, order.data, None, order.limit),
        order.samples,
        make_engine("vllm", order.model, args),
        recipe("vllm", order.model, args),
    )
    say(f"{name}: replaying in {ORDERS} orders")
    plan = Plan.of(name, arms(order.samples), pool.tasks, tuple(range(ORDERS)))
    return plan, summarise(plan, await replay(pool, plan.arms, orders=ORDERS))


def tables(name: str, plan: Plan, found: Sequence[ArmSummary]) -> str:
    """The set's tables."""
    from ..compare import report

    rows = (report.accuracy_rows(found), report.cost_rows(found, {}), report.quality_rows(found))
    lines = [line for table in rows if table for line in (*aligned(table), "")]
    return "\n".join([f"== {name}", *lines, *report.notes(plan, found, [])])


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the tables, write the results. Returns the exit status."""
    from ..compare import report

    parser = model_parser("models", "selection with a given model", limit=60, counted="tasks of each set")
    parser.add_argument("sets", nargs="*", default=["micro"], help="task sets, as in docs/task-sets.md")
    parser.add_argument("--samples", type=int, default=16, help="samples of each task")
    args = parser.parse_args(arguments)

    def measure() -> dict[str, Json]:
        found: dict[str, Json] = {}
        for name in args.sets:
            plan, summaries = asyncio.run(measured(name, args))
            print(tables(name, plan, summaries), flush=True)
            found[name] = report.to_json(plan, summaries)
        return {"sets": found}

    return carry_out(args, "-".join(["models", model_label(args.model), *args.sets]), measure)


if __name__ == "__main__":
    sys.exit(main())
