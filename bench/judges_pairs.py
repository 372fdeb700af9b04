"""The pairwise judge on a pool: a tournament of each task's samples, of which the truth is known.

A duel is stored as a verdict on the later sample: a pass if it wins, a failure if the earlier one does, an abstention where the
two orders disagree or cannot be read; then the earlier one goes on. The pairs of the first round are chance's, so that they
tell how often the right one of two answers wins; the winners of the rounds are the best of 2, of 4, ...
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import TYPE_CHECKING, Any

from ..core.candidate import Candidate
from ..core.completion import Completion
from ..core.ids import Json, json_hash
from ..core.task import Task
from ..core.together import together
from ..core.verdict import Verdict
from ..stats import Interval, bootstrap, paired_bootstrap, wilson
from .evaluate import all_of

if TYPE_CHECKING:
    from ..agents.pairwise import PairwiseJudge
    from ..compare.pool import Pool
    from ..core.context import Context
    from ..graphs.builtin import Graph
    from ..session import Session
    from ..traces.reader import Reader
    from ..traces.views import BatchRow

GRAPH = f"{__name__}:duels"
ENDS = ("right", "wrong", "tie", "unparsable")
"""How a duel between a right and a wrong answer ends: who wins, or why nobody does."""


class Against:
    """Judges whether a candidate is better than another one."""

    name = "pairwise_judge"
    oracle = False
    judges_truncated = True

    def __init__(self, judge: PairwiseJudge, rival: Candidate, number: int) -> None:
        self.version = judge.version
        self._judge, self._rival, self._number = judge, rival, number

    async def verify(self, task: Task, candidate: Candidate, ctx: Context | None = None) -> Verdict:
        """A pass if the candidate wins."""
        assert ctx is not None
        found = await self._judge(ctx, self._rival, candidate, key="duel")
        evidence: dict[str, Json] = {"rival": self._number, "orders": [o.better for o in found.opinions]}
        match found.winner:
            case "second":
                return Verdict.passed(evidence=evidence)
            case "first":
                return Verdict.failed(reason="worse", evidence=evidence)
            case winner:
                return Verdict.abstain("tie" if winner else "unparsable", evidence=evidence)


def duels(by: str = "text", max_tokens: int = 768) -> Graph:
    """A graph that holds the tournament of the answers in the task's metadata."""
    from langgraph.graph import END, START, StateGraph
    from langgraph.runtime import Runtime

    from ..agents.pairwise import PairwiseJudge
    from ..compare.audit import unpacked
    from ..core.context import Context
    from ..graphs.nodes import State

    how: dict[str, Any] = {"by": by, "max_tokens": max_tokens}
    judge = PairwiseJudge(**how)

    async def hold(state: State, runtime: Runtime[Context]) -> dict[str, Any]:
        ctx = runtime.context
        answers, ctx.run.task = unpacked(ctx.task)
        left = [(n, await ctx.add(Completion(text=a.text, finish_reason="stop"), key=f"a{n}")) for n, a in enumerate(answers)]
        number = 0
        while len(left) > 1:
            number += 1
            pairs = list(zip(left[::2], left[1::2], strict=False))
            said = await together([ctx.verify(Against(judge, a, n), b, key=f"{number}") for (n, a), (_, b) in pairs])
            winners = [
                later if verdict.outcome == "pass" else earlier for (earlier, later), verdict in zip(pairs, said, strict=True)
            ]
            left = winners + left[2 * len(pairs) :]
        return {"answer": left[0][1].text, "candidate_id": left[0][1].id}

    builder: StateGraph[Any, Any, Any, Any] = StateGraph(State, context_schema=Context)
    builder.add_node("hold", hold)
    builder.add_edge(START, "hold")
    builder.add_edge("hold", END)
    return builder.compile(name="duels")


@dataclass(frozen=True, kw_only=True)
class Tournament:
    """What was found of a pairwise judge."""

    ends: Mapping[str, Interval]
    """By how it ended, the share of the first duels between a right and a wrong answer; Wilson's intervals."""
    pairs: int
    """Number of these duels."""
    best_of: Mapping[int, Interval]
    """By number of samples, how often the winner is right; at 1, a sample. Intervals are the bootstrap's over tasks."""
    gain: Mapping[int, Interval]
    """What that is more than one sample, task by task."""

    def to_json(self) -> dict[str, Json]:
        """Plain form."""
        at_k = {"best_of": self.best_of, "gain": self.gain}
        ends: dict[str, Json] = {name: i.to_json() for name, i in self.ends.items()}
        return {
            "pairs": self.pairs,
            "ends": ends,
            **{name: {str(k): i.to_json() for k, i in found.items()} for name, found in at_k.items()},
        }


async def tournament(session: Session, pool: Pool, told: str, how: Mapping[str, Json], engine: Json = None) -> Tournament | None:
    """Hold the tournaments, as far as they are not held yet, and count; None where no task has two samples.

    `how` are settings of `PairwiseJudge`, `engine` says how the engine is made that judges, `told` is what progress is told of.
    Of a task's samples as many take part as are the largest power of two.

    Raises:
        BurnishError: a run failed.
    """
    from ..compare.audit import ANSWERS, pool_answers

    answers = {task: own[: 1 << (len(own).bit_length() - 1)] for task, own in pool_answers(pool).items() if len(own) > 1}
    tasks: list[Task] = []
    for task in pool.tasks:
        if own := answers.get(task.id):
            packed: list[Json] = [a.to_json() for a in own]
            tasks.append(replace(task, sampling={}, grader=None, verifier=None, metadata={**task.metadata, ANSWERS: packed}))
    if not tasks:
        return None
    about: dict[str, Json] = {"duels": json_hash([[t.to_json() for t in tasks], dict(how), engine])}
    name = f"duels/{pool.name[-90:]}"
    reader = session.store.reader()
    batch = _begun(reader, name, about)
    if batch is None:
        await all_of(session.batch(GRAPH, tasks, settings=how, name=name, about=about), told)
    elif batch.done < batch.runs:
        await all_of(session.resume_all(reader.unfinished(batch.id)), told)
    batch = _begun(reader, name, about)
    assert batch is not None
    return _counted([_brackets(reader, run.id) for run in reader.runs(batch=batch.id, limit=batch.runs)])


def _begun(reader: Reader, name: str, about: Mapping[str, Json]) -> BatchRow | None:
    return next((b for b in reader.batches() if b.name == name and b.config.get("duels") == about["duels"]), None)


@dataclass(frozen=True, kw_only=True)
class _Bracket:
    """The tournament of one task."""

    ends: Sequence[str]
    """Of the first duels between a right and a wrong answer."""
    right: Mapping[int, float]
    """By number of samples, the share of right winners."""


def _brackets(reader: Reader, run_id: str) -> _Bracket:
    from ..compare.audit import unpacked

    right = [a.right for a in unpacked(reader.task(run_id))[0]]
    numbers = {c.id: int(c.position.rpartition("/a")[2]) for c in reader.candidates(run_id)}
    said: dict[tuple[int, int], tuple[str, str]] = {}
    for row in reader.verdicts(run_id):
        said[int(row.position.rpartition(".")[2]), numbers[row.candidate_id]] = row.outcome, row.reason
    ends: list[str] = []
    left, shares, number = list(range(len(right))), {1: fmean(r is True for r in right)}, 0
    while len(left) > 1:
        number += 1
        winners: list[int] = []
        for earlier, later in zip(left[::2], left[1::2], strict=True):
            outcome, reason = said[number, later]
            winners.append(later if outcome == "pass" else earlier)
            if number == 1 and {right[earlier], right[later]} == {True, False}:
                ends.append(reason if outcome == "abstain" else "right" if right[winners[-1]] else "wrong")
        left = winners
        shares[2**number] = fmean(right[w] is True for w in winners)
    return _Bracket(ends=ends, right=shares)


def _counted(brackets: Sequence[_Bracket]) -> Tournament:
    ends = Counter(end if end in ENDS else "unparsable" for b in brackets for end in b.ends)
    pairs = ends.total()
    values: dict[int, list[float]] = defaultdict(list)
    for bracket in brackets:
        for k, share in bracket.right.items():
            values[k].append(share)
    whole = {k: own for k, own in sorted(values.items()) if len(own) == len(brackets)}
    return Tournament(
        ends={name: wilson(ends[name], pairs) for name in ENDS} if pairs else {},
        pairs=pairs,
        best_of={k: bootstrap(own) for k, own in whole.items()},
        gain={k: paired_bootstrap(own, whole[1]) for k, own in whole.items() if k > 1},
    )


def pair_rows(found: Mapping[str, Tournament]) -> list[list[str]]:
    """Header and rows: each pairwise judge on pairs of a right and a wrong answer, and the winners of its tournaments."""
    if not found:
        return []
    rows = [["pairwise", "pairs", "right one wins", "wrong one wins", "tie", "unread", "best of", "is right", "more than one"]]
    for name, one in found.items():
        k = max(one.best_of)
        ends = [str(one.ends[end]) if one.ends else "-" for end in ENDS]
        rows.append([name, str(one.pairs), *ends, str(k), str(one.best_of[k]), str(one.gain[k]) if k > 1 else "-"])
    return rows
