"""What the nodes of PlanGEN are made of: from the settings, the agents, verifiers and policies that they use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, TypeVar

from ..agents.completion import CompletionAgent
from ..agents.constraints import ConstraintAgent
from ..agents.planner import Planner
from ..agents.selection import SelectionAgent
from ..agents.verification import VerificationAgent, of_task
from ..core.context import Context
from ..core.errors import BudgetExhausted, ConfigError, GenerationFailed
from ..core.extract import extractor
from ..core.ids import Json
from ..core.policy import Policy
from ..core.sampling import Sampling
from ..core.verdict import Verifier
from ..search.driver import run_search
from ..search.policies import BestOfN
from ..search.rebase import Rebase
from ..search.tree_of_thought import TreeOfThought
from ..verifiers.combine import FirstOf
from ..verifiers.registry import make_verifier
from .nodes import task_verifier
from .plangen_settings import PlangenSettings

Agent = TypeVar("Agent", ConstraintAgent, SelectionAgent)

_ROLES = ("agent", "task", "both")
_UNFINISHED = "The plan is unfinished."


class Parts:
    """Agents, verifiers and policies under one set of settings."""

    def __init__(self, settings: PlangenSettings) -> None:
        self.settings = settings
        self.given = make_verifier(settings.judge) if settings.judge not in _ROLES else None
        """The verifier that the settings describe; None where they name a role."""
        self.sampling = Sampling(
            max_tokens=settings.max_tokens,
            temperature=settings.temperature,
            top_p=settings.top_p,
            logprobs=0 if settings.logprobs else None,
        )
        self.complete = CompletionAgent()
        self.agent = self.limited(ConstraintAgent())

    def planner(self, constraints: Sequence[str] = (), previous: str = "", feedback: str = "") -> Planner:
        """Who makes plans."""
        return Planner(
            system=self.settings.system,
            sampling=self.sampling,
            delimiter=self.settings.delimiter,
            step_tokens=self.settings.step_tokens,
            constraints=constraints if self.settings.constraints_to_generator else (),
            previous=previous,
            feedback=feedback,
            ask_steps=self.settings.steps == "ask",
        )

    def limited(self, agent: Agent) -> Agent:
        """An agent whose replies are as long as the settings allow."""
        most = self.settings.agent_tokens
        return agent if most is None else replace(agent, sampling=agent.sampling.but(max_tokens=most))

    def policy(self, algorithm: str) -> Policy[Any]:
        """One of the three searches, as the paper sets them up."""
        s = self.settings
        match algorithm:
            case "best_of_n":
                return BestOfN(s.n, s.stop_at_pass)
            case "rebase":
                return Rebase(s.rebase_width, s.balance, s.depth, tokens=s.max_tokens, stop_at_pass=s.stop_at_pass)
            case "tree_of_thought":
                return TreeOfThought("greedy", s.children, s.depth, s.nodes, tokens=s.max_tokens, stop_at_pass=s.stop_at_pass)
            case other:
                raise ConfigError(f"plangen has no search {other!r}", hint="best_of_n, rebase or tree_of_thought")

    def verifier(self, ctx: Context, constraints: Sequence[str]) -> Verifier:
        """Who judges plans.

        Raises:
            ConfigError: it is to be the task's, and the task has none.
        """
        s = self.settings
        if self.given is not None:
            return self.given
        own = task_verifier(ctx) if s.judge != "agent" else None
        if s.judge == "task":
            if own is None:
                raise ConfigError(f"the task {ctx.task.id} has no verifier", hint="give it one, or set judge=agent")
            return own
        asked = VerificationAgent(
            threshold=s.threshold,
            mode=s.judgement,
            constraints=tuple(constraints),
            max_tokens=s.agent_tokens or VerificationAgent.max_tokens,
            structured=s.structured,
        )
        agent = make_verifier(asked)
        return make_verifier(FirstOf(verifiers=(own, agent))) if own else agent

    async def constraints(self, ctx: Context) -> tuple[str, ...]:
        """The task's constraints: those that it brings along, else the constraint agent's; none where nobody reads them.

        They are recorded with where they come from. If the call fails the run goes on without.
        """
        if self.settings.judge not in ("agent", "both") and not self.settings.constraints_to_generator:
            return ()
        items, source, problem = of_task(ctx.task), "task", ""
        if items is None:
            source = "constraint agent"
            try:
                items = (await self.agent(ctx, kinds=self.settings.kinds, form=self.settings.form, key="ask")).items
            except (GenerationFailed, BudgetExhausted) as e:
                if isinstance(e, BudgetExhausted):
                    ctx.run.limit = e.limit
                items, problem = (), e.message
        found: dict[str, Json] = {"items": list(items), "from": source, "problem": problem}

        async def itself() -> Json:
            return found

        await ctx.effect("constraints", found, itself, key="constraints")
        return items

    async def search(self, ctx: Context, policy: Policy[Any], planner: Planner, verifier: Verifier | None) -> str | None:
        """Run a search in a scope of its own; the id of what it chose."""
        named = self.settings.extract or ctx.task.extract
        how = extractor(named) if named else None
        found = await run_search(ctx, policy, planner, verifier, extract=how, width=self.settings.width, complete=self.complete)
        return found.candidate.id if found.candidate else None

    def attempt(self, ctx: Context, plan: str | None) -> tuple[str, str]:
        """Text of an earlier plan, and what was said of it; empty for none."""
        if plan is None:
            return "", ""
        candidate, said = ctx.run.candidates[plan], ctx.run.verdicts.get(plan)
        feedback = (_UNFINISHED if candidate.partial else "", said.feedback if said else "")
        return candidate.text, "\n".join(part for part in feedback if part)
