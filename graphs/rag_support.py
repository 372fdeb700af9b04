"""The verifier `supported` over what a dialogue retrieved: it looks in the passages that this very answer was given from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ..core.candidate import Candidate
from ..core.context import Context
from ..core.task import Task
from ..core.verdict import Verdict, Verifier
from ..verifiers.registry import make_verifier
from ..verifiers.supported import Supported
from .nodes import task_verifier
from .rag_loop import Dialogue
from .rag_settings import ReaderSettings


@dataclass(frozen=True, kw_only=True)
class Retrieved:
    """`supported`, with each candidate's own passages; without any, with those that the task brings along."""

    of: Supported
    found: Mapping[str, Sequence[str]]
    """Passages by the candidate's position; filled while dialogues end."""

    @property
    def name(self) -> str:
        return self.of.name

    @property
    def version(self) -> str:
        return self.of.version

    @property
    def oracle(self) -> bool:
        return self.of.oracle

    @property
    def judges_truncated(self) -> bool:
        return self.of.judges_truncated

    async def verify(self, task: Task, candidate: Candidate, ctx: Context | None = None) -> Verdict:
        return await replace(self.of, passages=self.found.get(candidate.position, ())).verify(task, candidate, ctx)


def judge_of(ctx: Context, settings: ReaderSettings, found: Mapping[str, Sequence[str]]) -> Verifier | None:
    """The verifier that the settings name; None for none."""
    named = settings.verifier
    verifier = task_verifier(ctx) if named == "task" else make_verifier(named) if named is not None else None
    if isinstance(verifier, Supported) and not verifier.passages:
        return Retrieved(of=verifier, found=found)
    return verifier


def passages(dialogue: Dialogue) -> list[str]:
    """What was retrieved, with titles; nothing that the model wrote itself."""
    return [hit.contents for one in dialogue.rounds for hit in one.hits]
