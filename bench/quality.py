"""What search is worth with the default model: pass@k, and the vote of k, on the six micro-task families.

One pool of samples for each task, drawn once under the grader as the verifier; every k is computed from it, pass@k by
the unbiased estimate and voting exactly over all subsets. The pool is kept in a database and is not drawn again.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..compare.plan import Arm, Plan
from ..core.errors import BurnishError
from ..core.ids import Json
from . import microtasks
from .evaluate import carried_out
from .report import Measure, Section, say, table, write

if TYPE_CHECKING:
    from ..compare.summary import ArmSummary
    from ..compare.trial import Trials
    from ..core.engine import Engine

SEED, ITEMS, SAMPLES = 2, 24, 16


def plan(items: int = ITEMS, samples: int = SAMPLES, seed: int = SEED) -> Plan:
    """Best-of-n under the grader, all samples kept."""
    arm = Arm(name="pool", graph="best_of_n", settings={"n": samples, "stop_at_pass": False}, verifier="grader")
    tasks = microtasks.all_tasks(seed, items)
    return Plan(name=f"quality-{seed}-{items}x{samples}", arms=[arm], tasks=tasks, seeds=(seed,))


async def measured(store: str, what: Plan, engine: Engine | None = None) -> tuple[ArmSummary, dict[str, ArmSummary]]:
    """The pool in numbers, and for each family; drawn unless the store has it.

    Raises:
        BurnishError: no engine, no store, or it was stopped; calling again goes on.
    """
    trials = await carried_out(store, what, engine)
    families = dict.fromkeys(str(t.metadata["family"]) for t in what.tasks)
    return _pool(what, trials), {f: _pool(_family(what, f), trials) for f in families}


def _family(what: Plan, family: str) -> Plan:
    return replace(what, tasks=[t for t in what.tasks if t.metadata["family"] == family])


def _pool(what: Plan, trials: Trials) -> ArmSummary:
    from ..compare.summary import summarise

    (arm,) = summarise(what, trials)
    return arm


def section(what: Plan, pool: ArmSummary, families: dict[str, ArmSummary]) -> Section:
    """Means over all tasks for every k, and for each family, with intervals by bootstrap over tasks."""
    details: dict[str, Json] = {"tasks": len(what.tasks), "samples": max(pool.pass_at), "seed": what.seeds[0]}
    measures: list[Measure] = []
    for label, found in (("pass", pool.pass_at), ("majority", pool.majority_at)):
        for k, interval in found.items():
            details[f"{label}@{k}"] = {"value": interval.value, "low": interval.low, "high": interval.high}
            measures.append(Measure(name=f"{label}@{k}  {interval}", values=[interval.value]))
    for family, own in families.items():
        at_k = (("pass", own.pass_at), ("majority", own.majority_at))
        details[family] = {f"{label}@{k}": i.value for label, found in at_k for k, i in found.items()}
    return Section(name="quality", measures=measures, details=details)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the table, write the results. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m burnish.bench.quality", description="pass@k and voting on the micro-tasks")
    parser.add_argument("--store", type=Path, default=Path("quality.db"), help="SQLite file that keeps the samples")
    parser.add_argument("--out", type=Path, help="folder for quality.json")
    parser.add_argument("--items", type=int, default=ITEMS, help="tasks of each family")
    parser.add_argument("--samples", type=int, default=SAMPLES, help="samples of each task")
    args = parser.parse_args(arguments)
    what = plan(args.items, args.samples)
    try:
        pool, families = asyncio.run(measured(f"sqlite:///{args.store}", what))
    except BurnishError as e:
        say(f"error: {e}")
        return e.exit_code
    found = section(what, pool, families)
    print(table([found]))
    if args.out:
        write(args.out / "quality.json", [found])
    return 0


if __name__ == "__main__":
    sys.exit(main())
