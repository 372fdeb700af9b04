"""What search is worth with the default model: pass@k, and the vote of k, on the six micro-task families.

One pool of samples for each task, drawn once under the grader as the verifier; every k is computed from it, pass@k by
the unbiased estimate and voting over random subsets. The pool is kept in a database and is not drawn again.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING

from ..core.errors import BurnishError
from ..core.ids import Json
from ..core.task import Task
from . import microtasks
from .demo import ENGINE_ARGS, demo_tasks
from .evaluate import Method, batch_name, carry_out, finished
from .report import Measure, Section, say, table, write
from .stats import bootstrap, pass_at_k, subset_mean

if TYPE_CHECKING:
    from ..session import Session
    from ..traces.reader import Reader

SEED, ITEMS, SAMPLES, DRAWS = 2, 24, 16, 400
PREFIX = f"quality-{SEED}"

Vote = tuple[str | None, bool]
"""One sample: the key of its answer, and whether it is right."""


@dataclass(frozen=True)
class Pool:
    """The samples of one task, in the order in which they were asked for."""

    task_id: str
    family: str
    votes: Sequence[Vote]

    @property
    def passed(self) -> int:
        """Samples that are right."""
        return sum(right for _, right in self.votes)

    def pass_at(self, k: int) -> float:
        """The unbiased estimate of pass@k."""
        return pass_at_k(len(self.votes), self.passed, k)

    def majority_at(self, k: int) -> float:
        """How often the vote of k samples is right."""
        draws = 1 if k in (1, len(self.votes)) else DRAWS
        return self.pass_at(1) if k == 1 else subset_mean(self.votes, k, _majority, draws=draws, seed=k)


def _majority(votes: Sequence[object]) -> float:
    """Whether the answer that most give is right; of equals the first, and no answer is wrong."""
    cast: list[Vote] = [v for v in votes if isinstance(v, tuple) and v[0] is not None]
    if not cast:
        return 0.0
    winner = Counter(answer for answer, _ in cast).most_common(1)[0][0]
    return float(next(right for answer, right in cast if answer == winner))


def method(samples: int) -> Method:
    """Best-of-n under the grader, all samples kept."""
    return Method(name=f"pool of {samples}", graph="best_of_n", settings={"n": samples, "stop_at_pass": False}, oracle=True)


async def pools(session: Session, tasks: Sequence[Task], samples: int, *, prefix: str, seed: int) -> list[Pool]:
    """The pools of all tasks, drawn unless the store has them.

    Raises:
        BurnishError: the session was stopped; calling again goes on.
    """
    how, reader = method(samples), session.store.reader()
    if not finished(reader, batch_name(prefix, how), len(tasks)):
        await carry_out(session, how, tasks, prefix=prefix, seed=seed)
    return read_pools(reader, tasks, samples, prefix=prefix)


def read_pools(reader: Reader, tasks: Sequence[Task], samples: int, *, prefix: str) -> list[Pool]:
    """The pools as stored."""
    name = batch_name(prefix, method(samples))
    batch = next(b for b in reader.batches() if b.name == name and b.runs == len(tasks))
    run_of = {row.task_id: row.id for row in reader.runs(batch=batch.id, limit=len(tasks))}
    return [_pool(reader, task, run_of[task.id]) for task in tasks]


def _pool(reader: Reader, task: Task, run_id: str) -> Pool:
    right = {v.candidate_id for v in reader.verdicts(run_id) if v.outcome == "pass"}
    ordered = sorted(reader.candidates(run_id), key=lambda c: int(c.position.rpartition("x")[2]))
    votes = [(c.answer_sha or c.answer, c.id in right) for c in ordered]
    return Pool(task.id, str(task.metadata.get("family", "")), votes)


def summary(found: Sequence[Pool], samples: int) -> Section:
    """Means over all tasks for every k, and for each family, with intervals by bootstrap over tasks."""
    ks = [k for k in (1, 2, 4, 8, 16, 32, 64) if k <= samples]
    measures: list[Measure] = []
    details: dict[str, Json] = {"tasks": len(found), "samples": samples, "seed": SEED}
    for label, function in (("pass", Pool.pass_at), ("majority", Pool.majority_at)):
        for k in ks:
            values = [function(p, k) for p in found]
            interval = bootstrap(values)
            details[f"{label}@{k}"] = {"value": interval.value, "low": interval.low, "high": interval.high}
            measures.append(Measure(name=f"{label}@{k}  {interval}", values=[interval.value]))
    for family in dict.fromkeys(p.family for p in found):
        own = [p for p in found if p.family == family]
        details[family] = {f"{n}@{k}": fmean(f(p, k) for p in own) for n, f in _BOTH for k in ks}
    return Section(name="quality", measures=measures, details=details)


_BOTH = (("pass", Pool.pass_at), ("majority", Pool.majority_at))


async def _measure(store: Path, items: int, samples: int) -> Section:
    from ..engine.registry import make_engine
    from ..engine.registry import recipe as recipe_of
    from ..session import Session
    from ..traces.store import Store

    tasks = demo_tasks(SEED, items)
    opened = await Store.open(f"sqlite:///{store}")
    try:
        if not finished(opened.reader(), batch_name(PREFIX, method(samples)), len(tasks)):
            say(f"quality: {len(microtasks.FAMILIES)} families of {items} tasks, {samples} samples each")
            recipes: dict[str, Json] = {"default": recipe_of("vllm", None, ENGINE_ARGS)}
            engine = make_engine("vllm", None, ENGINE_ARGS)
            async with Session(engine, store=opened, concurrency=64, recipes=recipes) as session:
                await pools(session, tasks, samples, prefix=PREFIX, seed=SEED)
        return summary(read_pools(opened.reader(), tasks, samples, prefix=PREFIX), samples)
    finally:
        await opened.close()


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the table, write the results. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m burnish.bench.quality", description="pass@k and voting on the micro-tasks")
    parser.add_argument("--store", type=Path, default=Path("quality.db"), help="SQLite file that keeps the samples")
    parser.add_argument("--out", type=Path, help="folder for quality.json")
    parser.add_argument("--items", type=int, default=ITEMS, help="tasks of each family")
    parser.add_argument("--samples", type=int, default=SAMPLES, help="samples of each task")
    args = parser.parse_args(arguments)
    try:
        section = asyncio.run(_measure(args.store, args.items, args.samples))
    except BurnishError as e:
        say(f"error: {e}")
        return e.exit_code
    print(table([section]))
    if args.out:
        write(args.out / "quality.json", [section])
    return 0


if __name__ == "__main__":
    sys.exit(main())
