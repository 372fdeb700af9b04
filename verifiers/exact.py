"""Equality of the extracted answer with the reference."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from ..core.candidate import Candidate
from ..core.extract import extractor
from ..core.task import Task
from ..core.text import one_line
from ..core.verdict import Verdict
from .answers import candidate_key, need_reference, no_reference, reference_keys

if TYPE_CHECKING:
    from ..core.context import Context


@dataclass(frozen=True, kw_only=True)
class Exact:
    """Passes an answer whose key equals the reference's. A reference that is a list holds alternatives."""

    name: ClassVar[str] = "exact"
    version: ClassVar[str] = "1"
    oracle: ClassVar[bool] = True

    extract: str = ""
    """Name of the extractor that reads answer and reference; empty for the task's own, or `words`."""
    judges_truncated: bool = False

    def __post_init__(self) -> None:
        if self.extract:
            extractor(self.extract)

    def check(self, task: Task) -> None:
        """Refuse a task without a reference."""
        need_reference(task, self.name)

    async def verify(self, task: Task, candidate: Candidate, ctx: Context | None = None) -> Verdict:
        if task.reference is None:
            return no_reference()
        key = candidate_key(task, self.extract, candidate.text, truncated=candidate.truncated)
        if key is None:
            return Verdict.failed("no answer could be read from the text", reason="no_answer")
        evidence = {"answer": one_line(key, 500)}
        if key in reference_keys(task, self.extract):
            return Verdict.passed(evidence=evidence)
        return Verdict.failed("the answer is not right", reason="mismatch", evidence=evidence)
