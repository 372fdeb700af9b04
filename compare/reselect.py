"""Replay of a stored run: what another verifier or another policy would have made of what was generated.

The graph is run as ever, but its engines answer from the old run's record and its own record is in memory: no model is
asked, nothing is stored. What the record does not hold fails and is named, never made up. Verifiers judge for real, except
where the same one has judged the same candidate before. With nothing changed, a replay chooses what the run chose.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ..core.candidate import Candidate
from ..core.errors import BurnishError, ConfigError
from ..core.ids import Json
from ..core.result import Result
from ..core.runs import RunSpec
from ..core.stop import Stop
from ..core.task import Task
from ..core.verdict import Verdict
from ..core.verify import judge
from ..engine.recalled import NOT_RECORDED, Turns
from ..execution import execute
from ..graphs.registry import BUILTIN, build_graph, check_settings, is_graph
from ..traces.reader import Reader
from ..verifiers.registry import check_task, make_verifier
from .rejudge import OldRun, Rejudging, ReplayJournal, prepared, same_verifier, shown


@dataclass(frozen=True, kw_only=True)
class Change:
    """What a replay does otherwise; by default nothing."""

    graph: object | None = None
    """Another graph: a built-in's name, a target, or a graph; None for the run's own."""
    settings: Mapping[str, Json] = field(default_factory=dict[str, Json])
    """Changes to the settings. A built-in graph in place of another has those of the other that it knows."""
    verifier: Json = "task"
    """Judges in place of the one that the run had (`task`); None for nobody."""
    grader: Json = "task"
    """Measures in place of the task's own (`task`); None for nobody."""


@dataclass(frozen=True, kw_only=True)
class Ending:
    """How a run ended, or a replay of it."""

    answer: str | None
    """None if there is none."""
    position: str | None
    """Of the chosen candidate; None if none was."""
    outcome: str | None
    """None if it did not get to its end."""
    score: float | None
    right: bool | None
    """Whether the grader passes the answer; None if it abstains or there is none."""
    candidates: int
    calls: int
    """Model calls, verifiers' own not included."""
    output_tokens: int


@dataclass(frozen=True, kw_only=True)
class Rejudged:
    """A candidate of which the verifiers say different things."""

    position: str
    preview: str
    before: Verdict | None
    """None if nobody had judged it."""
    after: Verdict


@dataclass(frozen=True, kw_only=True)
class Replayed:
    """A stored run and its replay."""

    run_id: str
    task_id: str
    before: Ending
    after: Ending
    rejudged: tuple[Rejudged, ...]
    missing: tuple[str, ...]
    """Positions of what was asked for and never generated."""
    error: BurnishError | None
    """Why the replay did not get to its end; None if it did."""

    @property
    def changed(self) -> bool:
        """Whether another answer comes out."""
        return self.before.answer != self.after.answer


async def replay_runs(reader: Reader, run_ids: Iterable[str], change: Change | None = None) -> AsyncIterator[Replayed]:
    """Replay stored runs, one after another, by their whole ids."""
    for run_id in run_ids:
        yield await replay_run(reader, run_id, change)


async def replay_run(reader: Reader, run_id: str, change: Change | None = None) -> Replayed:
    """Replay a stored run.

    Raises:
        ConfigError: there is no such graph, setting or verifier, or the run's graph was given as an object.
        StoreError: a stored text is missing or damaged.
    """
    return await _Replay(reader, run_id, change or Change()).run()


class _Replay:
    def __init__(self, reader: Reader, run_id: str, change: Change) -> None:
        self._turns = Turns()
        self._row = reader.run(run_id)
        self._answer = reader.text(self._row.answer_sha) if self._row.answer_sha else None
        self._old = OldRun.read(reader, run_id)
        self._spec = spec = self._old.spec
        graph = spec.graph if change.graph is None else change.graph
        if isinstance(graph, str) and not is_graph(graph):
            what = f"the graph {graph!r} of the run {run_id[-8:]} was given as an object"
            raise ConfigError(what, hint="say where it is: --select module:attribute or file.py:attribute")
        settings = _settings(spec, graph, change.settings)
        before = spec.settings.get("verifier", "task") if spec.graph in BUILTIN else "task"
        before = spec.task.verifier if before == "task" else before
        after = before if change.verifier == "task" else change.verifier
        if isinstance(graph, str) and graph in BUILTIN and "verifier" in settings:
            own = settings.pop("verifier")
            after = own if change.verifier == "task" and own != "task" else after
        self._verifier = self._remembered(before, after, grading=False)
        self._grader = self._remembered(
            spec.task.grader, spec.task.grader if change.grader == "task" else change.grader, grading=True
        )
        self._settings = settings
        self._graph = build_graph(graph, {} if hasattr(graph, "ainvoke") else settings)

    def _remembered(self, before: Json, after: Json, *, grading: bool) -> Rejudging | None:
        if after is None:
            return None
        verifier = make_verifier(after)
        check_task(verifier, self._spec.task)
        said = {at: s for at, s in self._old.said.items() if s.grading == grading} if same_verifier(before, after) else {}
        return Rejudging(verifier, self._spec.task, said, self._turns)

    async def run(self) -> Replayed:
        task = prepared(self._spec.task, self._verifier, self._grader)
        await self._foresee()
        result, journal = await self._once(task)
        return Replayed(
            run_id=self._spec.id,
            task_id=self._spec.task.id,
            before=await self._before(),
            after=_ending(result, journal),
            rejudged=tuple(self._rejudged(journal)),
            missing=tuple(journal.asked.missing),
            error=result.error,
        )

    async def _foresee(self) -> None:
        """Judge all that was made at once, since in the replay one candidate waits for the other."""
        if verifier := self._verifier:
            await asyncio.gather(*(verifier.foresee(c) for c in self._old.candidates.values()))

    async def _once(self, task: Task) -> tuple[Result, ReplayJournal]:
        # Of time a replay says nothing.
        spec = replace(self._spec, task=task, settings=self._settings, budget=replace(self._spec.budget, seconds=None))
        journal = ReplayJournal(spec, self._old.effects)
        return await execute(self._graph, journal, self._old.engines(self._turns), Stop()), journal

    async def _before(self) -> Ending:
        chosen = next((c for c in self._old.candidates.values() if c.id == self._row.candidate_id), None)
        every = [call for calls in self._old.calls.values() for call in calls]
        own = [call for call in every if not call.judging and call.error_code != NOT_RECORDED]
        return Ending(
            answer=self._answer,
            position=chosen.position if chosen else None,
            outcome=self._row.outcome,
            score=self._row.score,
            right=await self._right(chosen) if self._row.status == "done" else None,
            candidates=len(self._old.candidates),
            calls=len(own),
            output_tokens=sum(call.completion.tokens.completion for call in own if call.completion),
        )

    async def _right(self, chosen: Candidate | None) -> bool | None:
        """What the grader says of the old answer."""
        if self._grader is None:
            return None
        if chosen is None:
            return False
        verdict = self._grader.recorded(chosen) or await judge(self._grader, self._spec.task, chosen)
        return None if verdict.outcome == "abstain" else verdict.outcome == "pass"

    def _rejudged(self, journal: ReplayJournal) -> Iterable[Rejudged]:
        before = {c.position: c for c in self._old.candidates.values()}
        said: dict[str, Verdict] = {}
        for recorded in self._old.said.values():
            if not recorded.grading:
                said[recorded.candidate.position] = recorded.verdict
        newest = {j.candidate_id: j.verdict for j in journal.judged if not j.grading}
        for candidate in journal.candidates.values():
            after, old = newest.get(candidate.id), before.get(candidate.position)
            known = said.get(candidate.position) if old is not None and old.text == candidate.text else None
            if after is not None and (known is None or (known.outcome, known.score) != (after.outcome, after.score)):
                yield Rejudged(position=candidate.position, preview=shown(candidate.text), before=known, after=after)


def _settings(spec: RunSpec, graph: object, changes: Mapping[str, Json]) -> dict[str, Json]:
    if graph == spec.graph or not isinstance(graph, str):
        return {**spec.settings, **changes}
    if graph not in BUILTIN or spec.graph not in BUILTIN:
        return dict(changes)
    before: dict[str, Any] = check_settings(BUILTIN[spec.graph], spec.settings).model_dump(mode="json")
    return {**{k: v for k, v in before.items() if k in BUILTIN[graph].settings.model_fields}, **changes}


def _ending(result: Result, journal: ReplayJournal) -> Ending:
    chosen = journal.candidates.get(result.candidate_id or "")
    right = None if result.grade is None or result.grade.outcome == "abstain" else result.grade.outcome == "pass"
    return Ending(
        answer=result.answer,
        position=chosen.position if chosen else None,
        outcome=result.outcome,
        score=result.score,
        right=right,
        candidates=len(journal.candidates),
        calls=journal.asked.calls,
        output_tokens=journal.asked.output_tokens,
    )
