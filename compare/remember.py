"""Verifiers and graders that judge each answer to a task once, however many replays ask.

With all verdicts at hand nothing in a replay has to be waited for, so that it goes the same way each time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeAlias

from ..core.candidate import Candidate
from ..core.ids import Json, canonical_json
from ..core.task import Task
from ..core.verdict import Verdict, Verifier
from ..core.verify import judge
from ..verifiers.registry import check_task, make_verifier
from .pool import Sample

if TYPE_CHECKING:
    from ..core.context import Context

Key: TypeAlias = tuple[str, str, bool, bool]
"""What a verdict rests on: answer, reasoning, whether it was cut at its limit, whether it is only a beginning."""


class Remembered:
    """A verifier for one task, with what it has said. One that makes calls of its own within the run is asked each time."""

    def __init__(self, verifier: Verifier, task: Task) -> None:
        self._verifier = verifier
        self._task = task
        """As it is stored: the one that a run has here holds verifiers, and cannot be sent to a worker process."""
        self._said: dict[Key, Verdict] = {}
        self._asking: dict[Key, asyncio.Lock] = {}
        self.name = verifier.name
        self.version = verifier.version
        self.oracle = verifier.oracle
        self.judges_truncated = verifier.judges_truncated
        self.judges_prefixes = bool(getattr(verifier, "judges_prefixes", False))
        self.asked = 0
        """How often the verifier itself was asked."""

    async def verify(self, task: Task, candidate: Candidate, ctx: Context | None = None) -> Verdict:
        """What the verifier says, or has said, of this answer."""
        key = candidate.text, candidate.reasoning, candidate.truncated, candidate.partial
        if key in self._said:
            return self._said[key]
        async with self._asking.setdefault(key, asyncio.Lock()):
            if key in self._said:  # Another candidate with this text was judged meanwhile.
                return self._said[key]
            self.asked += 1
            verdict = await judge(self._verifier, self._task, candidate, ctx)
            if ctx is None or not _has_effects(ctx):
                self._said[key] = verdict
            return verdict

    def learn(self, samples: Sequence[Sample]) -> None:
        """Take over what this verifier said of samples when they were drawn; abstentions are asked for anew."""
        for sample in samples:
            c, grade = sample.completion, sample.grade
            if grade is not None and grade.outcome != "abstain" and sample.graded_by == (self.name, self.version):
                self._said[c.text, c.reasoning, c.finish_reason == "length", False] = grade


class Judges:
    """The remembered verifiers of all tasks."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], Remembered] = {}

    def prepared(self, task: Task, samples: Sequence[Sample]) -> Task:
        """The task with its verifier and grader remembered; the grader knows what it said of the samples.

        Raises:
            ConfigError: there is no such verifier, or it cannot judge this task.
        """
        verifier, grader = self._of(task, task.verifier), self._of(task, task.grader)
        if grader is not None:
            grader.learn(samples)
        # Where a description may stand, `make_verifier` takes a verifier as well.
        changes: dict[str, Any] = {"verifier": verifier, "grader": grader}
        return replace(task, **changes)

    def _of(self, task: Task, spec: Json) -> Remembered | None:
        if spec is None:
            return None
        key = task.id, canonical_json(spec)
        if key not in self._known:
            verifier = make_verifier(spec)
            check_task(verifier, task)
            self._known[key] = Remembered(verifier, task)
        return self._known[key]


def _has_effects(ctx: Context) -> bool:
    """Whether calls were made, or asked for, below this place in the run."""
    below = ctx.base + "/"
    return any(position.startswith(below) for position in ctx.run.claims.used)
