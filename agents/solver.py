"""The solver: answers the task, or goes on with an answer, or rewrites one under feedback."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ..core.completion import Completion
from ..core.context import Context
from ..core.errors import GenerationFailed
from ..core.prompt import Message, Prompt
from ..core.proposer import Proposal
from ..core.sampling import Sampling
from ..core.verdict import Verdict
from .templates import fill, load


@dataclass(frozen=True, kw_only=True)
class Solver:
    """Proposes answers to the run's task."""

    system: str = ""
    """System text; empty for none."""
    sampling: Sampling = field(default_factory=Sampling)
    """Settings under which the task's own (`task.sampling`) and an expansion's go."""
    role: str = "proposer"
    """Role whose engine answers."""
    delimiter: str = "\n"
    """Text that ends a step, for policies that go step by step; it stays in the solution."""
    step_tokens: int = 128
    """Most tokens of one step."""
    reviser: str = field(default_factory=lambda: load("reviser"))
    """Template of the request to rewrite: fields `question`, `answer`, `feedback`."""

    async def propose(self, ctx: Context, proposal: Proposal) -> Completion:
        """One completion for an expansion, as the search driver asks for it."""
        prompt = self._prompt(ctx, proposal)
        sampling = self.settings(ctx, proposal.expansion.sampling)
        if proposal.expansion.step:
            stops = tuple(dict.fromkeys((*sampling.stop, self.delimiter)))
            most = min(sampling.max_tokens, self.step_tokens)
            sampling = sampling.but(stop=stops, keep_stop=True, max_tokens=most)
        return await ctx.generate(prompt, sampling, role=self.role, key="call")

    async def __call__(self, ctx: Context, *, key: str | None = None) -> Completion:
        """One answer to the task, for a graph node of one's own."""
        return await ctx.generate(ctx.task.chat(self.system), self.settings(ctx), role=self.role, key=key)

    def settings(self, ctx: Context, override: Mapping[str, Any] | None = None) -> Sampling:
        """Sampling of one call: the solver's, then the task's, then the override's."""
        return self.sampling.but(**{**ctx.task.sampling, **(override or {})})

    def _prompt(self, ctx: Context, proposal: Proposal) -> Prompt:
        chat = ctx.task.chat(self.system)
        if proposal.expansion.kind == "fresh" or not proposal.parents:
            return chat
        parent, verdict = proposal.parents[0], proposal.verdicts[0]
        match proposal.expansion.kind:
            case "continue":
                ids = parent.token_ids
                return replace(chat, prefix_ids=ids) if ids is not None else replace(chat, prefix_text=parent.text)
            case "repair":
                return replace(chat, prefix_text=parent.text[: verdict.valid_prefix or 0] if verdict else "")
            case "refine":
                text = fill(self.reviser, question=ctx.task.prompt, answer=parent.text, feedback=_wrong(verdict))
                return Prompt((*(chat.messages or ())[:-1], Message("user", text)))
            case kind:
                raise GenerationFailed(f"the solver cannot make a {kind} candidate", code="unknown_kind")


def _wrong(verdict: Verdict | None) -> str:
    """What is wrong with an answer. An abstention says something of the verifier, and nothing of the answer."""
    if verdict is None or verdict.outcome == "abstain":
        return "It is not known whether it is right."
    return verdict.feedback or ("It is not right." if verdict.outcome == "fail" else "Nothing is known to be wrong with it.")
