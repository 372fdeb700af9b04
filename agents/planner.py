"""The planner and the executor: one makes plans, whole or step by step, the other carries one out (PlanGEN, section 2.2).

What an earlier attempt taught reaches a plan through the question: the planner adds the attempt and what was said of it below
the problem, in every prompt alike, so that each search works with it and none needs to know.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from ..core.completion import Completion
from ..core.context import Context
from ..core.policy import Expansion
from ..core.prompt import Message, Prompt
from ..core.proposer import Proposal
from ..core.sampling import Sampling
from .solver import Solver
from .structured import listed
from .templates import fill, load

_NO_STEPS = "(none yet)"
_NO_FEEDBACK = "It is not good enough."


@dataclass(frozen=True, kw_only=True)
class Planner(Solver):
    """A solver that knows of constraints and of an earlier attempt, and can ask for steps one by one."""

    constraints: Sequence[str] = ()
    """What a plan has to satisfy, to be told; empty to say nothing of it."""
    previous: str = ""
    """The attempt before; empty for none."""
    feedback: str = ""
    """What was said of it."""
    ask_steps: bool = True
    """Each step is asked for with the steps before it in the request, as in the paper. If not, the answer is continued from
    its own tokens."""
    step: str = field(default_factory=lambda: load("plan_step"))
    """Template of a request for one step: fields `question`, `steps`."""
    within: str = field(default_factory=lambda: load("plan_within"))
    """Template that adds constraints to the problem: fields `question`, `constraints`."""
    again: str = field(default_factory=lambda: load("plan_again"))
    """Template that adds an earlier attempt to the problem: fields `question`, `previous`, `feedback`."""

    async def propose(self, ctx: Context, proposal: Proposal) -> Completion:
        """A whole plan, or its next step."""
        if not (self.ask_steps and proposal.expansion.step):
            return await super().propose(ctx, proposal)
        steps = proposal.parents[0].text.strip() if proposal.parents else ""
        chat = self._prompt(ctx, Proposal(expansion=Expansion(id=proposal.expansion.id)))
        prompt = _asking(chat, fill(self.step, question=_question(chat), steps=steps or _NO_STEPS))
        sampling = self.settings(ctx, proposal.expansion.sampling)
        stops = tuple(dict.fromkeys((*sampling.stop, self.delimiter)))
        sampling = sampling.but(stop=stops, keep_stop=True, max_tokens=min(sampling.max_tokens, self.step_tokens))
        return self._as_step(await ctx.generate(prompt, sampling, role=self.role, key="call"))

    def _as_step(self, said: Completion) -> Completion:
        """The reply as a step: a model that ends its reply has ended the step, not the plan."""
        if said.finish_reason not in ("stop", "boundary"):
            return replace(said, token_ids=None)
        text = said.text if said.text.endswith(self.delimiter) else said.text + self.delimiter
        return replace(said, text=text, finish_reason="boundary", token_ids=None)

    def _prompt(self, ctx: Context, proposal: Proposal) -> Prompt:
        prompt = super()._prompt(ctx, proposal)
        question = _question(prompt)
        if self.constraints:
            question = fill(self.within, question=question, constraints=listed(self.constraints, none=""))
        if self.previous.strip():
            said = self.feedback.strip() or _NO_FEEDBACK
            question = fill(self.again, question=question, previous=self.previous.strip(), feedback=said)
        return _asking(prompt, question)


@dataclass(frozen=True, kw_only=True)
class Executor:
    """Carries out a plan for tasks whose plan is not the answer: the paper's second stage."""

    template: str = field(default_factory=lambda: load("plan_execute"))
    """Fields `question`, `plan`."""
    sampling: Sampling = field(default_factory=lambda: Sampling(temperature=0.0))
    """Settings under which the task's own go."""
    role: str = "executor"
    """Role whose engine answers."""

    async def __call__(self, ctx: Context, plan: str, *, system: str = "", key: str | None = None) -> Completion:
        """The answer that the plan leads to.

        Raises:
            GenerationFailed: the call failed.
        """
        text = fill(self.template, question=ctx.task.prompt, plan=plan.strip())
        prompt = _asking(ctx.task.chat(system), text)
        return await ctx.generate(prompt, self.sampling.but(**ctx.task.sampling), role=self.role, key=key)


def _question(chat: Prompt) -> str:
    return "" if not chat.messages else chat.messages[-1].text


def _asking(chat: Prompt, text: str) -> Prompt:
    """The dialogue with another last turn."""
    return replace(chat, messages=(*(chat.messages or ())[:-1], Message("user", text)))
