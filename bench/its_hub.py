"""burnish beside its_hub on one `vllm serve`: best-of-n and self-consistency on the micro-tasks, same sampling and n.

Both have the same limit on calls in flight, the same verifier as reward, and the same key to count votes under; burnish keeps
its traces meanwhile. its_hub waits for all n samples; burnish stops a search that is decided, and is shown without that too,
where both generate the same. With `--default-limit` its_hub is also shown with the limit that it has by default. They take turns,
in another order each round, so that noise hits all. Answers are graded afterwards, outside of the time.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Any

from ..core.candidate import Candidate
from ..core.errors import BurnishError, EngineUnavailable
from ..core.extract import answer_key, extractor
from ..core.ids import Json
from ..core.task import Task
from ..core.text import one_line
from ..core.verify import judge
from ..engine.models import home
from ..engine.server import ServerEngine
from ..session import Session
from ..stats.paired import Paired, compare_paired
from ..verifiers.registry import make_verifier
from . import microtasks
from .peer_environment import PEERS, environment
from .report import Measure, Section, say, table, write
from .vllm_serve import NAME, vllm_serve

SEED, ITEMS, SAMPLES, ROUNDS, LIMIT = 3, 24, 8, 6, 64
MARGIN, TIME_BAR = 0.03, 0.9
CHILD = Path(__file__).with_name("its_hub_child.py")
METHODS = {"best_of_n": "best_of_n", "self_consistency": "majority"}
"""its_hub's name for a method, and burnish's."""
STOPPING: Mapping[str, str] = {"best_of_n": "stop_at_pass", "self_consistency": "stop_early"}
"""The setting that ends a decided search."""
WIDTH = 2
"""Samples of one task at once, where the first pass ends the search: what is in flight by then is lost."""
HUB, HUB_DEFAULT, EARLY, ALL = "its_hub", "its_hub, its default limit", "burnish", "burnish, all samples"
LIMITS = {HUB: LIMIT, HUB_DEFAULT: 32}
"""Calls in flight that its_hub is held to."""


@dataclass(frozen=True)
class Turn:
    """One side's answers to all tasks."""

    seconds: float
    tokens: int
    """Tokens generated."""
    answers: Mapping[str, str | None]
    """By task."""


@dataclass(frozen=True)
class Bench:
    """What all turns share."""

    url: str
    python: Path
    """Of its_hub's environment."""
    tasks: Sequence[Task]
    samples: int
    folder: Path

    async def turn(self, side: str, method: str, number: int) -> Turn:
        """One side's turn."""
        if side in LIMITS:
            return await self._theirs(method, LIMITS[side])
        return await self._ours(method, stopping=side == EARLY, number=number)

    async def _ours(self, method: str, *, stopping: bool, number: int) -> Turn:
        # Self-consistency has no verifier, on either side; graders work afterwards.
        verified = method == "best_of_n"
        tasks = [replace(t, grader=None, verifier=t.verifier if verified else None) for t in self.tasks]
        settings: dict[str, Json] = {
            "n": self.samples,
            STOPPING[method]: stopping,
            "width": WIDTH if stopping and verified else None,
        }
        store = f"sqlite:///{self.folder / f'{method}-{stopping}-{number}.db'}"
        answers: dict[str, str | None] = {}
        tokens = 0
        async with Session(ServerEngine(self.url), store=store, calls=LIMIT, concurrency=len(tasks)) as session:
            began = time.perf_counter()
            async for result in session.batch(METHODS[method], tasks, settings=settings, seed=number):
                answers[result.task_id] = result.answer
                tokens += result.usage.output_tokens
                if result.error is not None:
                    say(f"  {result.task_id}: {one_line(str(result.error), 200)}")
            return Turn(time.perf_counter() - began, tokens, answers)

    async def _theirs(self, method: str, limit: int) -> Turn:
        job = {"url": self.url, "model": NAME, "algorithm": method, "n": self.samples, "limit": limit}
        child = await asyncio.create_subprocess_exec(
            *(str(self.python), "-I", str(CHILD)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            limit=2**24,
        )
        assert child.stdin is not None
        assert child.stdout is not None
        try:
            child.stdin.write(json.dumps({**job, "tasks": [_described(t) for t in self.tasks]}).encode() + b"\n")
            while line := await child.stdout.readline():
                said = json.loads(line)
                if "done" in said:
                    done = said["done"]
                    return Turn(done["seconds"], done["tokens"], done["answers"])
                child.stdin.write(json.dumps(await self._answered(said)).encode() + b"\n")
                await child.stdin.drain()
        finally:
            if child.returncode is None:
                child.kill()
            await child.wait()
        raise EngineUnavailable("its_hub ended without a result", hint="its messages are above")

    async def _answered(self, asked: Mapping[str, Any]) -> list[Any]:
        """What the child asks for: scores or keys of texts."""
        by_id = {t.id: t for t in self.tasks}
        if "keys" in asked:
            extract = extractor(by_id[asked["keys"]].extract or "words")
            return [answer_key(extract, text, truncated=False) for text in asked["texts"]]
        task = by_id[asked["score"]]
        verifier = make_verifier(task.verifier)
        verdicts = [await judge(verifier, task, Candidate.of(text)) for text in asked["texts"]]
        return [1.0 if v.outcome == "pass" else (v.score or 0.0) * 0.5 for v in verdicts]

    async def right(self, turn: Turn) -> list[float]:
        """Whether the grader passes each task's answer."""
        out: list[float] = []
        for task in self.tasks:
            text = turn.answers.get(task.id)
            verdict = await judge(make_verifier(task.grader), task, Candidate.of(text)) if text else None
            out.append(float(verdict is not None and verdict.outcome == "pass"))
        return out


async def measured(bench: Bench, rounds: int, methods: Sequence[str], *, default_limit: bool) -> list[Section]:
    """Some methods; the first turn of each side only warms."""
    sections: list[Section] = []
    for method in methods:
        sides = [EARLY, HUB, ALL, *([HUB_DEFAULT] if default_limit else [])]
        turns: dict[str, list[Turn]] = {side: [] for side in sides}
        for side in sides:
            await replace(bench, tasks=bench.tasks[:: max(1, len(bench.tasks) // 12)]).turn(side, method, rounds)
        for number in range(rounds):
            for side in sides:
                turns[side].append(await bench.turn(side, method, number))
                say(f"{method}, round {number + 1} of {rounds}: {side}: {turns[side][-1].seconds:.1f} s")
            sides = [*sides[1:], sides[0]]
        rights = {side: [await bench.right(turn) for turn in turns[side]] for side in turns}
        sections.append(section(method, turns, rights))
    return sections


def section(method: str, turns: Mapping[str, Sequence[Turn]], rights: Mapping[str, Sequence[Sequence[float]]]) -> Section:
    """Accuracies, their paired differences, and times of one method. `rights` has a number for each task of each round."""
    by_task = {side: [fmean(task) for task in zip(*rounds, strict=True)] for side, rounds in rights.items()}
    measures: list[Measure] = []
    details: dict[str, Json] = {}
    for side in turns:
        seconds = [round(turn.seconds, 3) for turn in turns[side]]
        measures.append(Measure(name=f"{method}, {side}: seconds", values=seconds, unit="s"))
        measures.append(Measure(name=f"{method}, {side}: tokens", values=[turn.tokens for turn in turns[side]]))
        measures.append(Measure(name=f"{method}, {side}: accuracy", values=[round(fmean(by_task[side]), 4)]))
        details[side] = {"accuracy_by_task": list(by_task[side])}
    for side in (EARLY, ALL):
        compared: Paired = compare_paired(by_task[side], by_task[HUB])
        ratios = [round(a.seconds / b.seconds, 4) for a, b in zip(turns[side], turns[HUB], strict=True)]
        low = round(compared.difference.low, 4)
        name = f"{method}, {side}: accuracy, low end of {compared.difference}"
        measures.append(Measure(name=name, values=[low], bar=-MARGIN, least=True))
        # What stops early does less; the same work on the same server can only be about as fast, so that one is shown.
        measures.append(
            Measure(name=f"{method}, {side}: times its_hub's seconds", values=ratios, bar=TIME_BAR if side == EARLY else None)
        )
        details[f"{side} against its_hub"] = {"difference": str(compared), "tasks": compared.tasks}
    return Section(name=f"its_hub {method}", measures=measures, details=details)


def _described(task: Task) -> dict[str, Any]:
    messages = [m.to_json() for m in task.chat().messages or ()]
    limits = {name: task.sampling[name] for name in ("max_tokens", "temperature")}
    return {"id": task.id, "messages": messages, **limits}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it. Returns the exit status: 1 if a bar is missed."""
    parser = argparse.ArgumentParser(
        prog="python -m burnish.bench.its_hub", description="burnish beside its_hub on one vllm serve"
    )
    parser.add_argument(
        "--environment", type=Path, default=home() / f"its_hub-{PEERS['its_hub'].version}", help="virtual environment for its_hub"
    )
    parser.add_argument("--out", type=Path, help="folder for its_hub.json")
    parser.add_argument("--items", type=int, default=ITEMS, help="tasks of each family")
    parser.add_argument("--samples", type=int, default=SAMPLES, help="samples of each task")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS), help="what to compare")
    parser.add_argument("--default-limit", action="store_true", help="show its_hub with its own limit on calls in flight as well")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="turns of each side")
    parser.add_argument(
        "--url", help="a server that runs already, in place of one for this benchmark; its model is called 'served'"
    )
    args = parser.parse_args(arguments)
    tasks = microtasks.all_tasks(SEED, args.items)
    try:
        python = environment("its_hub", args.environment.absolute())
        with tempfile.TemporaryDirectory(prefix="burnish-its-hub-") as folder:
            bench = Bench(args.url or "", python, tasks, args.samples, Path(folder))
            if args.url:
                sections = asyncio.run(measured(bench, args.rounds, args.methods, default_limit=args.default_limit))
            else:
                say("starting vllm serve")
                with vllm_serve(Path(folder) / "vllm.log") as url:
                    bench = replace(bench, url=url)
                    sections = asyncio.run(measured(bench, args.rounds, args.methods, default_limit=args.default_limit))
    except BurnishError as e:
        say(f"error: {e}")
        return e.exit_code
    print(table(sections))
    if args.out:
        write(args.out / f"its_hub{'' if len(args.methods) > 1 else '-' + args.methods[0]}.json", sections)
    return 1 if any(section.missed for section in sections) else 0


if __name__ == "__main__":
    sys.exit(main())
