"""Does feedback pay? Refining in rounds beside best-of-n: at equal samples, and at equal generated tokens.

The controlled comparisons of docs/iad.md as one experiment. All arms share the first draw of a task. What feedback is worth is
what an arm gains on arms that get none: `none` (the answer alone), `swapped` and `foreign` (placebos that are told as much, and
nothing true). A judge is the task's own verifier or its grader, an oracle; the grader says what is right either way.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..compare.plan import Arm, Plan
from ..core.budget import Budget
from ..core.errors import ConfigError
from ..core.ids import Json
from ..stats import power_sentence
from .arguments import carry_out, model_label, model_parser
from .evaluate import against, carried_out, chosen_tasks
from .report import aligned, say

if TYPE_CHECKING:
    from ..compare.trial import Trials
    from ..core.engine import Engine
    from ..core.task import Task

BASELINE = "best_of_n"
JUDGES = ("task", "grader")
MATCHES = ("samples", "tokens")
ARMS: Mapping[str, Mapping[str, Json]] = {
    "none": {"feedback": "none"},
    "scalar": {"feedback": "scalar"},
    "directional": {"feedback": "directional"},
    "critique": {"feedback": "critique"},
    "both": {"feedback": "directional+critique"},
    "swapped": {"feedback": "directional", "control": "swapped"},
    "foreign": {"feedback": "directional", "control": "foreign"},
    "turns": {"feedback": "directional", "layout": "turns"},
    "remarks": {"feedback": "directional", "layout": "remarks"},
    "warm": {"feedback": "directional"},
    "repair": {"move": "repair"},
    "auto": {"move": "auto", "feedback": "directional", "layout": "remarks"},
    "noisy": {"feedback": "directional"},
    "sparse": {"feedback": "directional"},
}
"""Settings of `iad` in each arm; `warm` draws half of its samples before the first round."""
WORSE: Mapping[str, Mapping[str, Json]] = {
    "noisy": {"name": "noisy", "flip": 0.2},
    "sparse": {"name": "sparse", "reveal": 0.5},
}
"""Arms whose judge errs, or keeps its verdict to itself."""


@dataclass(frozen=True, kw_only=True)
class Order:
    """What to measure."""

    tasks: Sequence[Task]
    name: str
    """Of the comparisons; judge and match are added to it."""
    samples: int
    """Candidates of a run, where samples are equal."""
    tokens: int
    """Generated tokens of a run, critiques included, where tokens are equal."""
    arms: Sequence[str] = tuple(ARMS)
    model: str | None = None
    """None for the default model."""
    store: Path = Path("iad.db")
    max_model_len: int = 2048


def plan(judge: str, match: str, order: Order) -> Plan:
    """The arms under one judge, matched in one unit. Where tokens are equal, they or a pass end a run."""
    if unknown := next((a for a in order.arms if a not in ARMS), None):
        raise ConfigError(f"no arm is called {unknown!r}", hint=f"some of: {', '.join(ARMS)}")
    most = order.samples if match == "samples" else 64
    arms = [Arm(name="single", graph="single", verifier="none")]
    arms.append(Arm(name=BASELINE, graph="best_of_n", settings={"n": most, "width": 1}, verifier=judge))
    for name in order.arms:
        first = order.samples // 2 if name == "warm" else 1
        settings: dict[str, Json] = {"n0": first, "rounds": most - first, "critic_tokens": 48, **ARMS[name]}
        verifier: Json = {**WORSE[name], "verifier": judge} if name in WORSE else judge
        arms.append(Arm(name=name, graph="iad", settings=settings, verifier=verifier))
    budget = Budget(output_tokens=order.tokens) if match == "tokens" else Budget()
    return Plan.of(f"{order.name}-{judge}-{match}", arms, order.tasks, budget=budget, baseline=BASELINE)


def tables(what: Plan, trials: Trials) -> str:
    """Accuracy, costs, and the judge against the grader."""
    from ..compare import report
    from ..compare.summary import summarise

    arms = summarise(what, trials)
    blocks = (report.accuracy_rows(arms), report.cost_rows(arms, {}), report.verifier_rows(arms), report.quality_rows(arms))
    lines = [line for rows in blocks if rows for line in (*aligned(rows), "")]
    resampled = [f"{arm} less {BASELINE}, bootstrap: {i}" for arm, i in against(what, trials, BASELINE).items()]
    told = [f"{arm} less none, bootstrap: {i}" for arm, i in against(what, trials, "none").items() if arm in ARMS]
    return "\n".join([f"== {what.name}", *lines, *resampled, "", *told, *report.notes(what, arms, [])])


def to_json(what: Plan, trials: Trials) -> dict[str, Json]:
    """All of it, for programs."""
    from ..compare import report
    from ..compare.summary import summarise

    differences: dict[str, Json] = {
        base: {arm: i.to_json() for arm, i in against(what, trials, base).items()} for base in (BASELINE, "none")
    }
    return {"power": power_sentence(len(what.tasks)), **report.to_json(what, summarise(what, trials)), "bootstrap": differences}


def main(arguments: Sequence[str] | None = None, engine: Engine | None = None) -> int:
    """Measure, print the tables, write the results. Returns the exit status."""
    parser = model_parser("iad", "refining in rounds beside best-of-n", limit=40)
    parser.add_argument("set", help="a task set, as in docs/task-sets.md")
    parser.add_argument("--family", help="only this family of its tasks")
    parser.add_argument("--samples", type=int, default=8, help="candidates of a run, where samples are equal")
    parser.add_argument("--tokens", type=int, default=512, help="generated tokens of a run, where tokens are equal")
    parser.add_argument("--arms", default=",".join(ARMS), help="which of them, beside single and best_of_n")
    parser.add_argument("--verifier", choices=(*JUDGES, "both"), default="both", help="who judges")
    parser.add_argument("--match", choices=(*MATCHES, "both"), default="both", help="what is held equal")
    args = parser.parse_args(arguments)
    label = "-".join(filter(None, (args.set, args.family)))

    def measure() -> dict[str, Json]:
        order = Order(
            tasks=chosen_tasks(args.set, args.data, args.family, args.limit),
            name=f"iad-{label}-{args.limit}x{args.samples}x{args.tokens}",
            samples=args.samples,
            tokens=args.tokens,
            arms=tuple(filter(None, args.arms.split(","))),
            model=args.model,
            store=args.store,
            max_model_len=args.max_model_len,
        )
        judges = JUDGES if args.verifier == "both" else (args.verifier,)
        matches = MATCHES if args.match == "both" else (args.match,)
        return {"comparisons": asyncio.run(_measured([plan(j, m, order) for m in matches for j in judges], order, engine))}

    return carry_out(args, f"iad-{label}-{model_label(args.model)}", measure)


async def _measured(plans: Sequence[Plan], order: Order, engine: Engine | None) -> dict[str, Json]:
    """Say what can be shown, carry out one plan after the other, print each."""
    from ..compare import carry
    from ..engine.registry import make_engine

    say(power_sentence(len(order.tasks)))
    for what in plans:
        carry.check(what)
    args: dict[str, Json] = {"max_model_len": order.max_model_len, "max_num_seqs": 64}
    used = engine or make_engine("vllm", order.model, args)
    found: dict[str, Json] = {}
    try:
        for what in plans:
            trials = await carried_out(f"sqlite:///{order.store}", what, used, keep_engine=True)
            print(tables(what, trials), end="\n\n", flush=True)
            found[what.name] = to_json(what, trials)
    finally:
        await used.close()
    return found


if __name__ == "__main__":
    sys.exit(main())
