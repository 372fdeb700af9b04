"""Settings of the graph `plangen`, checked before a run starts. Light: no LangGraph here."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

from pydantic import Field

from .settings import SamplingSettings

Algorithm: TypeAlias = Literal["best_of_n", "rebase", "tree_of_thought"]
"""The searches that PlanGEN chooses from."""


class PlangenSettings(SamplingSettings):
    """Settings of `plangen`. `max_tokens` is for a whole plan here."""

    algorithm: Literal["best_of_n", "rebase", "tree_of_thought", "mixture", "sequential"] = Field(
        "mixture", description="One search, the one that a bandit chooses in each round, or all three in turn"
    )
    n: int = Field(5, ge=1, description="best_of_n: plans")
    children: int = Field(3, ge=1, description="tree_of_thought: steps that each continued node gets")
    nodes: int = Field(20, ge=1, description="tree_of_thought: most steps in all")
    rebase_width: int = Field(10, ge=1, description="rebase: plans wanted, and width of the first level")
    balance: float = Field(0.1, gt=0, allow_inf_nan=False, description="rebase: temperature of the softmax over scores")
    depth: int = Field(20, ge=1, description="Most steps of one plan")
    rounds: int = Field(3, ge=0, description="mixture: most searches after the first plan")
    threshold: int = Field(95, ge=-100, le=100, description="Least score with which the verification agent passes a plan")
    judge: Any = Field(
        "agent",
        description="`agent`: the verification agent; `task`: the task's verifier; `both`: the task's, then the agent where it "
        "abstains; or a verifier by name or description",
    )
    agent_tokens: int | None = Field(
        None, ge=1, description="Most tokens of one list of constraints, judgement or choice; null for each agent's own limit"
    )
    judgement: Literal["score", "items"] = Field("score", description="Verification agent: one score, or one for each constraint")
    kinds: tuple[str, ...] = Field((), description="Kinds of constraint to look for; empty for all")
    form: str = Field("", description="How the constraint agent writes them down; empty for a bulleted list")
    constraints_to_generator: bool = Field(False, description="Tell the constraints to who makes plans as well")
    feedback: bool = Field(True, description="mixture: tell who makes plans the plan before and what was said of it")
    steps: Literal["ask", "continue"] = Field(
        "ask", description="Ask for each step with the steps before it, or continue the answer from its own tokens"
    )
    step_tokens: int = Field(128, ge=1, description="Most tokens of one step")
    delimiter: str = Field("\n", min_length=1, description="Text that ends a step; it stays in the plan")
    stop_at_pass: bool = Field(False, description="End a search with the first plan that passes and cancel the rest")
    execute: bool = Field(False, description="Carry the plan out with one more call; its text is the answer")
    structured: bool = Field(True, description="Have the form of agents' replies enforced where the engine can")
    bandit: Literal["normalized", "paper_eq", "paper_alg1"] = Field("normalized", description="mixture: rule of the bandit")
    lam_prior: float = Field(1.0, ge=0, allow_inf_nan=False, description="Weight of the selection agent's prior")
    alpha_div: float = Field(0.5, ge=0, allow_inf_nan=False, description="Weight of the bonus for what was tried seldom")
    alpha_rec: float = Field(0.5, ge=0, allow_inf_nan=False, description="Weight of recoveries")
    cap: float = Field(5.0, ge=0, allow_inf_nan=False, description="Most that the exploration term may be")
