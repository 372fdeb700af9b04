"""What PlanGEN is worth: its searches and its mixture against best-of-n at equal generated tokens, and who is at fault.

The same arms twice: judged by each task's programmatic verifier, and by the verification agent, the model itself. All
that is spent counts against the budget, judgements, constraints and priors too. The grader says what is right.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncGenerator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from ..compare.plan import Arm, Plan
from ..core.budget import Budget
from ..core.ids import Json, as_json
from ..stats import power_sentence
from .arguments import carry_out, model_label, model_parser
from .evaluate import against, carried_out, chosen_tasks
from .plangen_faults import Agents, Lost, agent_rows, agents, choice_lines, lost_rows, token_rows
from .report import aligned, say

if TYPE_CHECKING:
    from ..compare.summary import ArmSummary
    from ..compare.trial import Trial, Trials
    from ..core.engine import Engine
    from ..core.task import Task

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
    from ..compare import carry
    from ..engine.registry import make_engine, recipe
    from ..traces.store import Store

    recipes: dict[str, Json] = {} if engine else {"default": recipe("vllm", order.model, order.engine_args)}
    used = engine or make_engine("vllm", order.model, order.engine_args)
    url = f"sqlite:///{order.store}"
    try:
        for judge in judges:
            what = plan(judge, order)
            carry.check(what)
            trials = await carried_out(url, what, used, recipes=recipes, concurrency=16, keep_engine=True)
            reader = Store.open_reader(url)
            try:
                found = {arm: agents(reader, own) for arm, own in trials.items() if own}
            finally:
                reader.close()
            yield what, trials, found
    finally:
        await used.close()


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
    parser = model_parser("plangen", "PlanGEN at equal generated tokens", limit=40)
    parser.add_argument("set", help="a task set, as in docs/task-sets.md")
    parser.add_argument("--family", help="only this family of its tasks")
    parser.add_argument("--tokens", type=int, default=1024, help="generated tokens of a run")
    parser.add_argument("--max-tokens", type=int, help="most tokens of an answer, instead of what the set says")
    parser.add_argument("--agent-tokens", type=int, default=256, help="most tokens of one reply of an agent")
    parser.add_argument("--children", type=int, default=8, help="tree_of_thought: steps that each continued node gets")
    parser.add_argument("--verifier", choices=(*JUDGES, "both"), default="both", help="who judges")
    args = parser.parse_args(arguments)
    label = "-".join(filter(None, (args.set, args.family)))

    def measure() -> dict[str, Json]:
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
        judges = JUDGES if args.verifier == "both" else (args.verifier,)
        return {"judges": asyncio.run(_told(judges, order, engine))}

    return carry_out(args, f"plangen-{label}-{model_label(args.model)}", measure)


async def _told(judges: Sequence[str], order: Order, engine: Engine | None) -> dict[str, Json]:
    """Say what can be shown, measure, print. Returns the numbers by judge."""
    say(power_sentence(len(order.tasks)))
    found: dict[str, Json] = {}
    async with contextlib.aclosing(measured(judges, order, engine)) as results:
        async for result in results:
            print(tables(*result), end="\n\n", flush=True)
            found[judges[len(found)]] = to_json(*result)
    return found


if __name__ == "__main__":
    sys.exit(main())
