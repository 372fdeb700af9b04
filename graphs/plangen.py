"""PlanGEN (arXiv 2502.16111): constraint, verification and selection agents around three searches.

The dialogue of the agents is the graph, one can see and change it; each search is one node of it. State holds ids, texts are
in the run's candidates.

    mixture:    propose, constrain -> verify -> learn -> finish
                                        ^         |
                                        search <- select
    others:     constrain -> the search, or all three in turn -> finish

With `execute` one more node carries out the plan.
"""

from __future__ import annotations

import operator
from typing import Annotated, Any

from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime

from ..agents.planner import Executor
from ..agents.selection import NEUTRAL, Priors, SelectionAgent
from ..core.context import Context
from ..core.errors import BudgetExhausted, GenerationFailed
from ..core.extract import answer_key, extractor
from ..search.bandit import Bandit
from ..search.policies import Single
from .builtin import Graph
from .nodes import Node, State, task_verifier
from .plangen_attempts import failed, reason, reward, standing, told
from .plangen_bandit import BatchBandit
from .plangen_parts import Parts
from .plangen_settings import Algorithm, PlangenSettings

ALGORITHMS: tuple[Algorithm, ...] = ("best_of_n", "rebase", "tree_of_thought")
"""In the order that decides ties."""


class PlanState(State, total=False):
    """State of `plangen`."""

    constraints: list[str]
    """What a plan has to satisfy."""
    plan: str | None
    """Id of the newest plan; None if the newest search found none."""
    previous: str | None
    """Id of the newest plan that there is."""
    best: str | None
    """Id of the best plan seen."""
    failed: bool | None
    """Whether the previous plan is known to be not good enough; None if nothing is known."""
    arm: str
    """The search chosen last; empty before the first choice."""
    round: int
    """Searches chosen so far."""
    done: bool
    """Whether the mixture ends."""
    attempts: Annotated[list[dict[str, Any]], operator.add]
    """One entry for each plan: what made it, what was said of it."""


def plangen(settings: PlangenSettings) -> Graph:
    """The graph of the algorithm that the settings name.

    Raises:
        ConfigError: the verifier that they name cannot be made.
    """
    nodes = PlangenNodes(settings)
    if settings.algorithm == "mixture":
        return _mixture(nodes)
    return _in_turn(nodes, ALGORITHMS if settings.algorithm == "sequential" else (settings.algorithm,))


def _mixture(nodes: PlangenNodes) -> Graph:
    builder: StateGraph[Any, Any, Any, Any] = StateGraph(PlanState, context_schema=Context)
    for name in ("propose", "constrain", "verify", "learn", "select", "search"):
        builder.add_node(name, getattr(nodes, name))
    builder.add_edge(START, "propose")
    builder.add_edge(START, "constrain")
    builder.add_edge(["propose", "constrain"], "verify")
    builder.add_edge("verify", "learn")
    builder.add_conditional_edges("learn", _goes_on, ["select", "finish"])
    builder.add_edge("select", "search")
    builder.add_edge("search", "verify")
    return _finished(builder, nodes)


def _in_turn(nodes: PlangenNodes, algorithms: tuple[Algorithm, ...]) -> Graph:
    builder: StateGraph[Any, Any, Any, Any] = StateGraph(PlanState, context_schema=Context)
    chain = ("constrain", *algorithms)
    builder.add_node("constrain", nodes.constrain)
    for name in algorithms:
        builder.add_node(name, nodes.alone(name))
    for one, after in zip((START, *chain), (*chain, "finish"), strict=True):
        builder.add_edge(one, after)
    return _finished(builder, nodes)


def _finished(builder: StateGraph[Any, Any, Any, Any], nodes: PlangenNodes) -> Graph:
    builder.add_node("finish", nodes.finish)
    if nodes.settings.execute:
        builder.add_node("execute", nodes.execute)
        builder.add_edge("finish", "execute")
    builder.add_edge("execute" if nodes.settings.execute else "finish", END)
    return builder.compile(name="plangen")


def _goes_on(state: PlanState) -> str:
    return "finish" if state.get("done") else "select"


class PlangenNodes:
    """The nodes, for graphs of one's own as well."""

    def __init__(self, settings: PlangenSettings) -> None:
        self.settings = settings
        self.parts = Parts(settings)
        rule = Bandit(
            ALGORITHMS,
            settings.bandit,
            lam_prior=settings.lam_prior,
            alpha_div=settings.alpha_div,
            alpha_rec=settings.alpha_rec,
            cap=settings.cap,
        )
        self.bandit = BatchBandit(rule)
        self.selection = self.parts.limited(SelectionAgent(structured=settings.structured))
        self.executor = Executor(sampling=self.parts.sampling.but(temperature=0.0))

    async def propose(self, state: PlanState, runtime: Runtime[Context]) -> dict[str, Any]:
        """The first plan, made at once; nobody has to know the constraints for it."""
        return {"plan": await self.parts.search(runtime.context, Single(), self.parts.planner(), None)}

    async def constrain(self, state: PlanState, runtime: Runtime[Context]) -> dict[str, Any]:
        """What a plan has to satisfy."""
        return {"constraints": list(await self.parts.constraints(runtime.context))}

    async def verify(self, state: PlanState, runtime: Runtime[Context]) -> dict[str, Any]:
        """A verdict on the first plan. The searches have theirs judged, as far as the budget goes."""
        ctx, plan = runtime.context, state.get("plan")
        if plan and not state.get("arm"):
            await ctx.verify(self.parts.verifier(ctx, state.get("constraints", ())), ctx.run.candidates[plan])
        return {"attempts": [told(ctx, state.get("arm") or "first", plan)]}

    async def learn(self, state: PlanState, runtime: Runtime[Context]) -> dict[str, Any]:
        """Tell the bandit how its choice fared, keep the best plan, say whether to go on."""
        ctx, plan, arm = runtime.context, state.get("plan"), state.get("arm")
        spent = bool(ctx.run.limit) or state.get("round", 0) >= self.settings.rounds
        if plan is None:
            return {"done": spent}
        lost, earned = failed(ctx, plan), reward(ctx, plan)
        if arm and earned is not None:
            await self.bandit.learn(ctx, arm, earned, recovered=not lost if state.get("failed") else None)
        best = _better(ctx, state.get("best"), plan)
        return {"previous": plan, "failed": lost, "best": best, "done": spent or lost is False}

    async def select(self, state: PlanState, runtime: Runtime[Context]) -> dict[str, Any]:
        """The search to try next: the selection agent's priors, then the bandit's rule."""
        ctx = runtime.context
        previous, feedback = self.parts.attempt(ctx, state.get("previous"))
        try:
            priors = await self.selection(ctx, arms=ALGORITHMS, feedback=feedback, previous=previous, key="priors")
        except (GenerationFailed, BudgetExhausted) as e:  # A budget without room for priors may have some for a search.
            priors = Priors(dict.fromkeys(ALGORITHMS, NEUTRAL), problem=e.message)
        return {"arm": await self.bandit.choose(ctx, priors), "round": state.get("round", 0) + 1}

    async def search(self, state: PlanState, runtime: Runtime[Context]) -> dict[str, Any]:
        """The chosen search, told of the plan before where the settings say so."""
        ctx, constraints = runtime.context, state.get("constraints", ())
        previous, feedback = self.parts.attempt(ctx, state.get("previous")) if self.settings.feedback else ("", "")
        planner = self.parts.planner(constraints, previous, feedback)
        policy = self.parts.policy(state.get("arm", ""))
        return {"plan": await self.parts.search(ctx, policy, planner, self.parts.verifier(ctx, constraints))}

    def alone(self, algorithm: Algorithm) -> Node:
        """A node that runs one search by itself and keeps the best plan."""

        async def node(state: PlanState, runtime: Runtime[Context]) -> dict[str, Any]:
            ctx, constraints = runtime.context, state.get("constraints", ())
            planner, judge = self.parts.planner(constraints), self.parts.verifier(ctx, constraints)
            plan = await self.parts.search(ctx, self.parts.policy(algorithm), planner, judge)
            best = _better(ctx, state.get("best"), plan) if plan else state.get("best")
            return {"best": best, "attempts": [told(ctx, algorithm, plan)]}

        return node

    async def finish(self, state: PlanState, runtime: Runtime[Context]) -> dict[str, Any]:
        """Return the best plan seen, not the last."""
        ctx, best = runtime.context, state.get("best")
        plan = ctx.run.candidates[best] if best else None
        details = {"attempts": state.get("attempts", [])}
        return {
            "answer": plan.text if plan else None,
            "candidate_id": plan.id if plan else None,
            "selection": {"reason": reason(ctx, best), "confidence": None, "details": details},
        }

    async def execute(self, state: PlanState, runtime: Runtime[Context]) -> dict[str, Any]:
        """Carry the best plan out; the task's verifier, if it has one, judges what comes out."""
        ctx, best = runtime.context, state.get("best")
        if best is None:
            return {}
        plan = ctx.run.candidates[best]
        try:
            said = await self.executor(ctx, plan.text, system=self.settings.system, key="execute")
        except GenerationFailed:
            return {"answer": None, "candidate_id": None}
        extract = extractor(self.settings.extract or ctx.task.extract or "words")
        key = answer_key(extract, said.text, truncated=said.finish_reason == "length")
        answer = await ctx.add(said, key="answer", kind="refine", parents=[plan], answer=key)
        if judge := task_verifier(ctx):
            try:
                await ctx.verify(judge, answer)
            except BudgetExhausted as e:
                ctx.run.limit = e.limit
        return {"answer": answer.text, "candidate_id": answer.id}


def _better(ctx: Context, best: str | None, plan: str) -> str:
    """The better of two plans; of equals the earlier."""
    return plan if best is None or standing(ctx, plan) > standing(ctx, best) else best
