"""What PlanGEN is worth: its searches and its mixture against best-of-n at equal generated tokens, and who is at fault.

The same arms twice: judged by each task's programmatic verifier, and by the verification agent, the model itself. All
that is spent counts against the budget, judgements, constraints and priors too. The grader says what is right.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys
from collections.abc import AsyncGenerator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from ..compare.plan import Arm, Plan
from ..core.budget import Budget
from ..core.errors import BurnishError
from ..core.ids import Json, as_json
from ..core.text import one_line
from ..stats import power_sentence
from .evaluate import against, chosen_tasks
from .plangen_faults import Agents, Lost, agent_rows, agents, choice_lines, lost_rows, token_rows
from .report import aligned, say, write_found

if TYPE_CHECKING:
    from ..compare.summary import ArmSummary
    from ..compare.trial import Trial, Trials
    from ..core.engine import Engine
    from ..core.task import Task
    from ..traces.reader import Reader
    from ..traces.store import Store

Measured: TypeAlias = "tuple[Plan, Trials, dict[str, Agents]]"
"""What was compared, how it went, and what each arm's agents did."""

WIDTH = 8
"""Candidates of a run in the making at once: what is in flight when one passes is spent for nothing."""
BASELINE = "best_of_n"
JUDGES = ("task", "model")


@dataclass(frozen=True, kw_only=True)
class Order:
    """What to measure."""

    tasks: Sequence[Task]
    name: str
    """Of the comparison; the judge is added to it."""
    tokens: int
    """Generated tokens that each run may take."""
    agent_tokens: int
    """Most tokens of one list of constraints, judgement or choice."""
    children: int
    """Steps that each continued node of a tree gets."""
    model: str | None = None
    """None for the default model."""
    store: Path = Path("plangen.db")
    max_model_len: int = 2048

    @property
    def engine_args(self) -> dict[str, Json]:
        """Arguments of vLLM's engine."""
        return {"max_model_len": self.max_model_len, "max_num_seqs": 32}


def plan(judge: str, order: Order) -> Plan:
    """The arms under one judge, with more attempts than the budget allows: the budget ends them, or a pass."""
    shared: dict[str, Json] = {
        "judge": "task" if judge == "task" else "agent",
        "agent_tokens": order.agent_tokens,
        "steps": "continue",
        # A judge that passes what comes first would end each search there: only one that can be trusted saves tokens.
        "stop_at_pass": judge == "task",
        "width": WIDTH,
    }
    searches: dict[str, dict[str, Json]] = {
        BASELINE: {"n": 64},
        "tree_of_thought": {"children": order.children, "nodes": 200},
        "rebase": {"rebase_width": 16},
        "mixture": {"rounds": 20},
    }
    arms = [Arm(name="single", graph="single", verifier="none")]
    for name, more in searches.items():
        arms.append(Arm(name=name, graph="plangen", settings={"algorithm": name, **shared, **more}))
    budget = Budget(output_tokens=order.tokens)
    return Plan.of(f"{order.name}-{judge}", arms, order.tasks, budget=budget, baseline=BASELINE)


async def measured(judges: Sequence[str], order: Order, engine: Engine | None = None) -> AsyncGenerator[Measured]:
    """Under one judge after the other carry out what is not done yet, and count. Without an engine it is vLLM's.

    Raises:
        BurnishError: no engine, no store, or it was stopped; calling again goes on.
    """
    from ..compare import carry, measure
    from ..engine.registry import make_engine, recipe
    from ..traces.store import Store

    recipes: dict[str, Json] = {} if engine else {"default": recipe("vllm", order.model, order.engine_args)}
    used = engine or make_engine("vllm", order.model, order.engine_args)
    store = await Store.open(f"sqlite:///{order.store}")
    try:
        for judge in judges:
            what = plan(judge, order)
            carry.check(what)
            if carry.left(store.reader(), what):
                await _carry_out(store, what, used, recipes)
            reader: Reader = store.reader()
            trials = measure.trials(reader, what)
            yield what, trials, {arm: agents(reader, found) for arm, found in trials.items() if found}
    finally:
        await store.close()
        await used.close()


async def _carry_out(store: Store, what: Plan, engine: Engine, recipes: dict[str, Json]) -> None:
    from ..compare import carry
    from ..compare.progress import Quarters
    from ..session import Session

    say(f"{what.name}: {len(what.arms)} arms, {len(what.tasks)} tasks (vLLM takes half a minute to start)")
    made = Session(engine, store=store, concurrency=16, recipes=recipes, keep_engines=True, grade_all=True)
    async with made as session:
        failed = await carry.carry_out(session, what, Quarters(len(what.tasks), say))
    if failed:
        say(f"{len(failed)} runs failed, the first {failed[0].task_id}: {one_line(str(failed[0].error), 300)}")


def tables(what: Plan, trials: Trials, found: dict[str, Agents]) -> str:
    """Accuracy, costs, the judge against the grader, and where answers were lost."""
    from ..compare import report
    from ..compare.summary import summarise

    arms = summarise(what, trials)
    blocks = (
        report.accuracy_rows(arms),
        report.cost_rows(arms, {}),
        token_rows(found),
        report.verifier_rows(arms),
        report.quality_rows(arms),
        agent_rows(found),
        lost_rows(trials),
    )
    lines = [line for rows in blocks if rows for line in (*aligned(rows), "")]
    resampled = [f"{arm} less {BASELINE}, bootstrap: {i}" for arm, i in against(what, trials, BASELINE).items()]
    return "\n".join([f"== {what.name}", *lines, *resampled, *choice_lines(found), *report.notes(what, arms, [])])


def to_json(what: Plan, trials: Trials, found: dict[str, Agents]) -> dict[str, Json]:
    """All of it, for programs."""
    from ..compare import report
    from ..compare.summary import summarise

    arms: Sequence[ArmSummary] = summarise(what, trials)
    faults: dict[str, Json] = {arm: _fault(trials[arm], a) for arm, a in found.items()}
    resampled: dict[str, Json] = {arm: i.to_json() for arm, i in against(what, trials, BASELINE).items()}
    return {"power": power_sentence(len(what.tasks)), **report.to_json(what, arms), "bootstrap": resampled, "faults": faults}


def _fault(trials: Sequence[Trial], found: Agents) -> Json:
    return as_json({"lost": asdict(Lost.of(trials)), "agents": asdict(found)})


def main(arguments: Sequence[str] | None = None, engine: Engine | None = None) -> int:
    """Measure, print the tables, write the results. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m burnish.bench.plangen", description="PlanGEN at equal generated tokens")
    parser.add_argument("set", help="a task set, as in docs/task-sets.md")
    parser.add_argument("--family", help="only this family of its tasks")
    parser.add_argument("--model", help="a model by name (burnish models list); the default model if left out")
    parser.add_argument("--data", type=Path, help="folder of the set's files; else BURNISH_DATA")
    parser.add_argument("--limit", type=int, default=40, help="tasks")
    parser.add_argument("--tokens", type=int, default=1024, help="generated tokens of a run")
    parser.add_argument("--max-tokens", type=int, help="most tokens of an answer, instead of what the set says")
    parser.add_argument("--agent-tokens", type=int, default=256, help="most tokens of one reply of an agent")
    parser.add_argument("--children", type=int, default=8, help="tree_of_thought: steps that each continued node gets")
    parser.add_argument("--verifier", choices=(*JUDGES, "both"), default="both", help="who judges")
    parser.add_argument("--max-model-len", type=int, default=2048, help="longest prompt and answer together, in tokens")
    parser.add_argument("--store", type=Path, default=Path("plangen.db"), help="SQLite file that keeps the runs")
    parser.add_argument("--out", type=Path, help="folder for plangen-SET-MODEL.json")
    args = parser.parse_args(arguments)
    label = "-".join(filter(None, (args.set, args.family)))
    found: dict[str, Json] = {}
    try:
        order = Order(
            tasks=chosen_tasks(args.set, args.data, args.family, args.limit, args.max_tokens),
            name=f"plangen-{label}-{args.limit}x{args.tokens}",
            tokens=args.tokens,
            agent_tokens=args.agent_tokens,
            children=args.children,
            model=args.model,
            store=args.store,
            max_model_len=args.max_model_len,
        )
        asyncio.run(_told(JUDGES if args.verifier == "both" else (args.verifier,), order, engine, found))
    except BurnishError as e:
        say(f"error: {e}")
        return e.exit_code
    except KeyboardInterrupt:
        say("stopped; the same command goes on from here")
        return 130
    if args.out:
        write_found(
            args.out / f"plangen-{label}-{(args.model or 'default').replace('/', '-')}.json", args.model, {"judges": found}
        )
    return 0


async def _told(judges: Sequence[str], order: Order, engine: Engine | None, found: dict[str, Json]) -> None:
    """Say what can be shown, measure, print, and put the numbers into `found`."""
    say(power_sentence(len(order.tasks)))
    async with contextlib.aclosing(measured(judges, order, engine)) as results:
        async for result in results:
            print(tables(*result), end="\n\n", flush=True)
            found[judges[len(found)]] = to_json(*result)


if __name__ == "__main__":
    sys.exit(main())
