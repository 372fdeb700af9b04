"""The refiner: a solver whose rewrites are told what was said of the answers before.

The task stands first and unchanged in every request, so that the engine's prefix cache holds it; behind it come the answer
to be rewritten, at most one rejected one, and what the mode allows to be told of them. So a request is never longer than
the task, two answers and the feedback.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from ..core.candidate import Candidate
from ..core.completion import Completion
from ..core.context import Context
from ..core.errors import GenerationFailed
from ..core.extract import words
from ..core.ids import text_hash
from ..core.prompt import Message, Prompt
from ..core.proposer import Proposal
from ..core.verdict import Verdict
from .critic import Critic
from .feedback import Mode, direction, scored, without_reference
from .solver import Solver
from .templates import fill, load

Control: TypeAlias = Literal["none", "swapped", "foreign"]
"""What an experiment changes to see whether it is what is said that helps. `swapped`: the texts of the best and of the
rejected answer change places, what is said of each does not. `foreign`: what is wrong is told of other questions' answers."""

_BASE_AGAIN = "This very answer was given more than once. Do not repeat it: give another one."
_REJECTED_AGAIN = "The rejected answer was given more than once. Do not repeat it."
_OTHER_AGAIN = "An answer that was given more than once, and is not to be repeated:\n"


@dataclass(frozen=True, kw_only=True)
class Refiner(Solver):
    """Rewrites its first parent. Other parents are rejected answers; one that equals an earlier parent is a repeat of it."""

    feedback: Mode = "directional+critique"
    """What a rewrite is told."""
    layout: Literal["question", "turns", "remarks"] = "question"
    """The earlier answer below the question, in one turn; or as a turn of the model's, with the question asked again; or not
    shown at all, so that it cannot be copied: only what is said of it."""
    control: Control = "none"
    critic: Critic = field(default_factory=Critic)
    """Who criticises, where the mode asks for it: one more call for each rewrite."""
    request: str = field(default_factory=lambda: load("refine"))
    """Template of a rewrite in one turn: fields `question`, `notes`."""
    turn: str = field(default_factory=lambda: load("refine_turn"))
    """Template of the last of several turns: fields `question`, `notes`."""
    best: str = field(default_factory=lambda: load("refine_best"))
    """Template of the answer to be rewritten: fields `judged`, `answer`."""
    rejected: str = field(default_factory=lambda: load("refine_rejected"))
    """Template of a rejected answer: fields `judged`, `answer`."""
    foreign: str = field(default_factory=lambda: load("refine_foreign"))
    """What was said of answers to other questions, a line each, for the control `foreign`."""

    async def propose(self, ctx: Context, proposal: Proposal) -> Completion:
        """One completion: a rewrite, or what a solver makes."""
        if proposal.expansion.kind != "refine" or not proposal.parents:
            return await super().propose(ctx, proposal)
        critique = await self._critique(ctx, proposal.parents[0])
        prompt = self._rewrite(ctx, proposal, critique)
        return await ctx.generate(prompt, self.settings(ctx, proposal.expansion.sampling), role=self.role, key="call")

    async def _critique(self, ctx: Context, candidate: Candidate) -> str:
        """What the critic says; empty where nobody asks it, or its call fails."""
        if self.feedback not in ("critique", "directional+critique"):
            return ""
        if self.control == "foreign":
            return self._foreign(candidate)
        try:
            return await self.critic(ctx, candidate, key="critique")
        except GenerationFailed:
            return ""

    def _rewrite(self, ctx: Context, proposal: Proposal, critique: str) -> Prompt:
        chat = ctx.task.chat(self.system)
        base, rejected, repeated = _roles(proposal.parents)
        said = dict(zip((p.id for p in proposal.parents), proposal.verdicts, strict=True))
        ours = without_reference(said[base.id], ctx.task, base)
        theirs = without_reference(said[rejected.id], ctx.task, rejected) if rejected else None
        if self.control == "foreign":
            ours, theirs = self._of_another(ours, base), rejected and self._of_another(theirs, rejected)
        elif self.control == "swapped" and rejected:
            base, rejected = rejected, base
        notes, hidden = list[str](), self.layout == "remarks"
        if self.layout == "question":
            notes.append(self._shown(self.best, base, ours))
        if rejected and self.feedback != "none" and not hidden:
            notes.append(self._shown(self.rejected, rejected, theirs))
        if "directional" in self.feedback:
            notes.append(direction(ours, theirs))
        elif self.layout != "question" and self.feedback == "scalar" and scored(ours):
            notes.append(f"Your answer: {scored(ours)}.")
        if critique:
            notes.append(f"A critic says of the answer to be rewritten: {critique}")
        if repeated is base and not hidden:
            notes.append(_BASE_AGAIN)
        elif repeated:
            notes.append(_OTHER_AGAIN + repeated.text if hidden or self.feedback == "none" else _REJECTED_AGAIN)
        text = "\n\n".join(note for note in notes if note)
        question = ctx.task.prompt
        if self.layout == "turns":
            last = Message("user", fill(self.turn, question=question, notes=text).strip())
            return Prompt((*(chat.messages or ()), Message("assistant", base.text), last))
        return Prompt((*(chat.messages or ())[:-1], Message("user", fill(self.request, question=question, notes=text))))

    def _of_another(self, verdict: Verdict | None, candidate: Candidate) -> Verdict | None:
        """The verdict with another answer's faults in place of what is wrong."""
        return verdict.but(feedback=self._foreign(candidate)) if verdict and verdict.feedback else verdict

    def _foreign(self, candidate: Candidate) -> str:
        lines = self.foreign.strip().splitlines()
        return lines[int(text_hash(candidate.text)[:8], 16) % len(lines)] if lines else ""

    def _shown(self, template: str, candidate: Candidate, verdict: Verdict | None) -> str:
        told = scored(verdict) if self.feedback in ("scalar", "directional", "directional+critique") else ""
        return fill(template, judged=f" ({told})" if told else "", answer=candidate.text)


def _roles(parents: Sequence[Candidate]) -> tuple[Candidate, Candidate | None, Candidate | None]:
    """The answer to be rewritten, a rejected one if any, and which of them was given again, if any."""
    keys = [_key(p) for p in parents]
    rejected = next((p for p, key in zip(parents, keys, strict=True) if key != keys[0]), None)
    repeated = next((p for p, key in zip(parents, keys, strict=True) if keys.count(key) > 1), None)
    return parents[0], rejected, repeated


def _key(candidate: Candidate) -> str:
    return candidate.answer if candidate.answer is not None else words(candidate.text) or ""
