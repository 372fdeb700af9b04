"""Agreement of a short answer with reference texts, by a scorer of question answering: exact match, F1, accuracy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, cast, get_args

from ..core.answer_scores import Scorer, answer_scores, normalized_references
from ..core.candidate import Candidate
from ..core.errors import ConfigError
from ..core.extract import extractor
from ..core.ids import Json, canonical_json
from ..core.task import Task
from ..core.text import one_line
from ..core.verdict import Verdict
from .answers import need_reference, no_reference

if TYPE_CHECKING:
    from ..core.context import Context


@dataclass(frozen=True, kw_only=True)
class AnswerMatch:
    """Passes an answer whose score against the task's references reaches the threshold. A reference that is a list holds
    alternatives. The evidence has the value of every scorer under its name, so that one run tells all of them.
    """

    name: ClassVar[str] = "answer_match"
    version: ClassVar[str] = "1"
    oracle: ClassVar[bool] = True

    scorer: Scorer = "flashrag.em"
    """Which scorer decides and gives the score."""
    threshold: float = 1.0
    """Score from which an answer is right."""
    extract: str = ""
    """Name of the extractor that reads the answer; empty for the task's own, or the whole text."""
    judges_truncated: bool = False

    def __post_init__(self) -> None:
        if self.scorer not in get_args(Scorer):
            raise ConfigError(
                f"answer_match: no scorer is called {one_line(str(self.scorer))!r}", hint=f"one of: {', '.join(get_args(Scorer))}"
            )
        if not 0 < self.threshold <= 1:
            raise ConfigError(f"answer_match: threshold is {self.threshold}", hint="a score above 0, at most 1")
        if self.extract:
            extractor(self.extract)

    def check(self, task: Task) -> None:
        """Refuse a task without a reference that holds a word."""
        need_reference(task, self.name)
        try:
            normalized_references(_references(task))
        except ConfigError as e:
            raise ConfigError(f"task {task.id}: {e.message}", hint=e.hint) from None

    async def verify(self, task: Task, candidate: Candidate, ctx: Context | None = None) -> Verdict:
        if task.reference is None:
            return no_reference()
        name = self.extract or task.extract
        # The extractor itself, not `answer_key`: a key is cut where it is long, and words are counted here.
        answer = extractor(name)(candidate.text) if name else candidate.text.strip()
        if not answer:
            return Verdict.failed("no answer could be read from the text", reason="no_answer")
        scores = {s.scorer: s.value for s in answer_scores(answer, _references(task))}
        value = scores[self.scorer]
        evidence: dict[str, Json] = {"answer": one_line(answer, 500), "scorer": self.scorer, "scores": scores}
        if value >= self.threshold:
            return Verdict.passed(value, evidence=evidence)
        return Verdict.failed("the answer is not right", score=value, reason="mismatch", evidence=evidence)


def _references(task: Task) -> list[str]:
    reference = task.reference
    several = cast("Sequence[Json]", reference) if isinstance(reference, list | tuple) else [reference]
    return [one if isinstance(one, str) else canonical_json(one) for one in several]
