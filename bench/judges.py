"""How far a judge can be trusted: its errors on samples of which the truth is known, and what choosing by it is worth.

A pool of samples is drawn and graded once. Then each judge is audited on it as by `burnish verifiers check`, the task's own
verifier, which runs programs, beside judges that are models. Ensembles are made of the recorded verdicts and cost nothing; the
pairwise judges hold tournaments of each task's samples.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..compare import audit as audits
from ..compare.audit_choice import Choice
from ..compare.audit_result import AuditResult, Rates
from ..core.errors import ConfigError
from ..core.ids import Json
from ..core.text import one_line
from ..stats import Interval
from .arguments import carry_out, model_label, model_parser
from .evaluate import all_of, chosen_tasks, drawn_pool
from .judges_combined import ENSEMBLES, combined
from .judges_pairs import Tournament, pair_rows, tournament
from .report import aligned, say

if TYPE_CHECKING:
    from ..compare.pool import Pool
    from ..core.engine import Engine
    from ..session import Session

COUNTED = ("calls", "prompt_tokens", "output_tokens")
"""What is told of a judge's spending."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """What was measured on one pool."""

    results: Mapping[str, AuditResult]
    """By the name of the judge or ensemble."""
    spent: Mapping[str, Mapping[str, int]]
    """By the judge's name, all that its calls took."""
    asked: Mapping[str, Mapping[str, int]]
    """By the ensemble's name, how many answers each of its parts would have been asked about."""
    tournaments: Mapping[str, Tournament] = field(default_factory=dict[str, Tournament])


def judges(tokens: int, *, reward: bool) -> dict[str, Json]:
    """The judges of single answers by name, described as verifiers are. `verifier` is each task's own."""
    found: dict[str, Json] = {
        "verifier": audits.OWN,
        "written": {"name": "llm_judge", "max_tokens": tokens},
        "probability": {"name": "llm_judge", "by": "probability"},
    }
    return found | ({"reward": {"name": "reward_model"}} if reward else {})


async def measured(pool: Pool, session: Session, wanted: Mapping[str, Json], engine: Json, pairwise: Mapping[str, Json]) -> Found:
    """Have every judge look at the pool, as far as it has not yet.

    `engine` says how the engine is made that judges, `pairwise` has the settings of each pairwise judge by its name.

    Raises:
        BurnishError: a judge cannot judge these tasks, a run failed, or it was stopped; calling again goes on.
    """
    answers = audits.pool_answers(pool)
    tasks = [task for task in pool.tasks if task.id in answers]
    results: dict[str, AuditResult] = {}
    spent: dict[str, dict[str, int]] = {}
    for name, spec in wanted.items():
        if spec == audits.OWN and any(task.verifier is None for task in tasks):
            say(f"{name}: left out, since not every task has a verifier of its own")
            continue
        order = audits.Order(
            verifier=spec,
            tasks=tasks,
            answers=answers,
            sampled=True,
            source=f"the pool {pool.name}",
            engine=engine,
        )
        results[name], spent[name] = await _audited(session, order, name)
    asked: dict[str, Mapping[str, int]] = {}
    for name in ENSEMBLES:
        if (made := await combined(name, results)) is not None:
            results[name], asked[name] = made.result, made.asked
    tournaments: dict[str, Tournament] = {}
    for name, how in pairwise.items():
        assert isinstance(how, Mapping)
        if (held := await tournament(session, pool, name, how, engine)) is not None:
            tournaments[name] = held
    return Found(results=results, spent=spent, asked=asked, tournaments=tournaments)


async def _audited(session: Session, order: audits.Order, told: str) -> tuple[AuditResult, dict[str, int]]:
    reader = session.store.reader()
    before = audits.begun(reader, order)
    if before is None or before.done < before.runs:
        await all_of(audits.carry_out(session, order, before, lambda _: None), told)
    result = AuditResult.read(reader, order.name)
    usages = reader.usages([run.id for run in reader.runs(batch=result.batch_id, limit=len(order.tasks))]).values()
    return result, {name: sum(getattr(usage, name) for usage in usages) for name in COUNTED}


def judge_rows(found: Found) -> list[list[str]]:
    """Header and rows: each judge's errors, and what the best of all samples by it is worth. Intervals are over tasks."""
    choices = {name: Choice.of(result) for name, result in found.results.items()}
    k = max((max(choice.best_of) for choice in choices.values() if choice), default=1)
    head = ["judge", "right ones passed", "wrong ones passed", "abstained", "right if passed", "pairs in order"]
    rows = [[*head, f"best of {k} is right", "more than one", "calls"]]
    for name, result in found.results.items():
        rates = [_shown(result.over_tasks(rate)) for rate in ("tpr", "fpr", "precision")]
        cells = [rates[0], rates[1], _shown(Rates.of(result.judged).abstentions), rates[2], "-", "-", "-"]
        if (choice := choices[name]) is not None:
            cells[4:] = [_shown(choice.auroc and choice.auroc.interval), str(choice.best_of[k]), str(choice.gain[k])]
        rows.append([name, *cells, _asked(found, name, len(result.judged))])
    return rows


def _asked(found: Found, name: str, answers: int) -> str:
    """Model calls for each answer; of an ensemble, by how many of its parts each answer would have been judged."""
    asked = found.asked.get(name)
    if asked is None:
        return f"{found.spent[name]['calls'] / answers:.2f}"
    return " + ".join(f"{n / answers:.2f} {part}" for part, n in asked.items())


def tables(pool: Pool, found: Found) -> str:
    """Everything in words."""
    any_result = next(iter(found.results.values()), None)
    choice = Choice.of(any_result) if any_result is not None else None
    lines = [
        f"== {pool.name}: {len(pool.tasks)} tasks, {pool.k} samples of each by {pool.info.model}",
        *aligned(judge_rows(found)),
    ]
    if found.tournaments:
        lines += ["", *aligned(pair_rows(found.tournaments))]
    if choice is not None:
        lines += ["", *(f"of {k} {'sample' if k == 1 else 'samples'} one is right: {i}" for k, i in choice.any_of.items())]
    return "\n".join(lines)


def to_json(pool: Pool, found: Found) -> dict[str, Json]:
    """All of it, for programs."""
    from ..compare import audit_report as report
    from ..compare.outlook import Outlook

    listed: dict[str, Json] = {}
    for name, result in found.results.items():
        about: dict[str, Json] = {"spent": dict(found.spent.get(name, {})), "asked": dict(found.asked.get(name, {}))}
        listed[name] = {**report.to_json(result, Outlook.of(result)), **about}
    held: dict[str, Json] = {name: one.to_json() for name, one in found.tournaments.items()}
    about = {"name": pool.name, "model": pool.info.model, "tasks": len(pool.tasks), "k": pool.k}
    return {"pool": about, "judges": listed, "pairwise": held}


def main(arguments: Sequence[str] | None = None, engine: Engine | None = None, reward: Engine | None = None) -> int:
    """Measure, print the tables, write the results. Returns the exit status."""
    parser = model_parser("judges", "judges against the truth, on a pool of samples", limit=40, max_model_len=4096)
    parser.add_argument("set", help="a task set, as in docs/task-sets.md")
    parser.add_argument("--family", help="only this family of its tasks")
    parser.add_argument("--samples", type=int, default=8, help="samples of each task")
    parser.add_argument("--judge", help="the model that judges, by name; the one that is judged if left out")
    parser.add_argument("--judges", help="which of verifier, written, probability and reward; all if left out")
    parser.add_argument("--pairwise", default="text,probability", help="how pairs are judged; empty for not at all")
    parser.add_argument("--judge-tokens", type=int, default=256, help="most tokens of a written judgement")
    parser.add_argument("--reward", help="a reward model, by name or folder")
    args = parser.parse_args(arguments)
    label = "-".join(filter(None, (args.set, args.family)))
    file = f"judges-{label}-{model_label(args.model)}" + (f"-by-{model_label(args.judge)}" if args.judge else "")
    return carry_out(args, file, lambda: asyncio.run(_all(args, label, engine, reward)))


async def _all(args: argparse.Namespace, label: str, engine: Engine | None, reward: Engine | None) -> dict[str, Json]:
    """Draw, judge, print. Returns the numbers."""
    from ..engine.registry import make_engine, recipe
    from ..session import Session

    wanted = _wanted(args.judges, judges(args.judge_tokens, reward=reward is not None or args.reward is not None))
    pairwise: dict[str, Json] = {f"by {by}": {"by": by, "max_tokens": args.judge_tokens} for by in args.pairwise.split(",") if by}
    settings: dict[str, Json] = {"max_model_len": args.max_model_len, "max_num_seqs": 64}
    url = f"sqlite:///{args.store}"
    tasks = chosen_tasks(args.set, args.data, args.family, args.limit)
    name = f"{label}-{args.limit}x{args.samples}-{args.model or 'default'}"
    same = engine is not None or args.judge in (None, args.model)
    drawing = engine or make_engine("vllm", args.model, settings)
    judging = drawing if same else make_engine("vllm", args.judge, settings)
    made = None if engine else recipe("vllm", args.model, settings)
    judge_made = None if engine else recipe("vllm", args.judge or args.model, settings)
    engines = {"default": judging}
    if rating := reward or _reward_model(args.reward):
        engines["reward"] = rating
    try:
        pool = await drawn_pool(url, name, tasks, args.samples, drawing, made, keep_engine=same)
        recipes = {"default": judge_made} if judge_made is not None else {}
        async with Session(engines=engines, store=url, concurrency=16, recipes=recipes, keep_engines=True) as session:
            found = await measured(pool, session, wanted, judge_made, pairwise)
    finally:
        for one in {id(e): e for e in (drawing, *engines.values())}.values():
            await one.close()
    print(tables(pool, found), flush=True)
    return to_json(pool, found)


def _wanted(names: str | None, known: Mapping[str, Json]) -> dict[str, Json]:
    listed = list(known) if names is None else [name for name in names.split(",") if name]
    if unknown := next((name for name in listed if name not in known), None):
        raise ConfigError(f"no judge is called {one_line(unknown)!r}", hint=f"some of: {', '.join(known)}; reward needs --reward")
    return {name: known[name] for name in listed}


def _reward_model(name: str | None) -> Engine | None:
    from ..engine.scoring_vllm import VLLMReward

    return None if name is None else VLLMReward(name)


def _shown(interval: Interval | None) -> str:
    return "-" if interval is None else str(interval)


if __name__ == "__main__":
    sys.exit(main())
