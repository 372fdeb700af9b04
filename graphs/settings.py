"""Settings of the built-in graphs, checked before a run starts. Light: no LangGraph here."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class SamplingSettings(BaseModel):
    """What all graphs that sample answers can be set to."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    extract: str = Field("", description="Answer extractor; empty for the task's own, else `words`")
    system: str = Field("", description="System text")
    max_tokens: int = Field(512, ge=1, description="Most tokens of one answer")
    temperature: float = Field(0.7, ge=0, le=2, description="0 is greedy")
    top_p: float = Field(1.0, gt=0, le=1, description="Nucleus mass")
    logprobs: bool = Field(False, description="Keep the log-probabilities of generated tokens")
    width: int | None = Field(None, ge=1, description="Most candidates in the making at once; null for the engine's limit")


class SearchSettings(SamplingSettings):
    """What all search graphs can be set to."""

    verifier: Any = Field("task", description="Verifier by name or description; `task` for the task's own, null for none")


class BestOfNSettings(SearchSettings):
    """Settings of `best_of_n`."""

    n: int = Field(8, ge=1, description="Samples")
    stop_at_pass: bool = Field(True, description="Return the first sample that passes and cancel the rest")


class WorthwhileSettings(SearchSettings):
    """Settings of `worthwhile`: what an audit found of the generator and the verifier, and what is at stake."""

    types: tuple[tuple[float, float], ...] = Field(
        min_length=1, description="Share of the tasks and single-sample accuracy on them, for each type of task"
    )
    tpr: float = Field(ge=0, le=1, description="Share of the right answers that the verifier accepts")
    fpr: float = Field(ge=0, le=1, description="Share of the wrong answers that it accepts")
    n: int = Field(64, ge=1, description="Most samples")
    fp_cost: float = Field(1.0, ge=0, description="What returning a wrong answer costs, in right answers")
    sample_cost: float = Field(0.0, ge=0, description="What a sample costs, in right answers")


class MajoritySettings(SearchSettings):
    """Settings of `majority`."""

    n: int = Field(8, ge=1, description="Samples")
    stop_early: bool = Field(False, description="Draw in rounds, until no other answer can catch up")


class DrawSettings(SamplingSettings):
    """Settings of `draw`, which has no verifier."""

    n: int = Field(16, ge=1, description="Samples")
    logprobs: bool = Field(True, description="Keep the log-probabilities of generated tokens")


class StepSettings(SearchSettings):
    """What all graphs that make solutions step by step can be set to. `max_tokens` is for a whole solution here."""

    delimiter: str = Field("\n", min_length=1, description="Text that ends a step; it stays in the solution")
    step_tokens: int = Field(128, ge=1, description="Most tokens of one step")
    depth: int = Field(25, ge=1, description="Most steps of one solution")
    complete: str = Field(
        "", description="What a solution ends with, or `regex:` and a pattern found in it; empty for the model's own end"
    )
    unknown: float = Field(0.5, ge=0, le=1, description="What a step is worth about which the verifier abstains")
    stop_at_pass: bool = Field(True, description="Return the first whole solution that passes and cancel the rest")
    choose: Literal["best", "vote"] = Field("best", description="Return the best solution, or vote by their scores")


class TreeOfThoughtSettings(StepSettings):
    """Settings of `tree_of_thought`."""

    strategy: Literal["greedy", "bfs", "dfs", "best_first"] = Field("greedy", description="Which node is continued next")
    children: int = Field(3, ge=1, description="Steps that each continued node gets")
    depth: int = Field(20, ge=1, description="Most steps of one solution")
    nodes: int = Field(60, ge=1, description="Most steps in all")
    keep: int | None = Field(
        None, ge=1, description="Most nodes continued: of a level for bfs (null for 5), of siblings for dfs and best_first"
    )
    threshold: float = Field(0.0, ge=0, le=1, description="A node that is worth less is not continued")


class RebaseSettings(StepSettings):
    """Settings of `rebase`."""

    n: int = Field(16, ge=1, description="Solutions wanted, and width of the first level")
    balance: float = Field(0.1, gt=0, description="Temperature of the softmax over scores; lower favours the best more")


class BeamSettings(StepSettings):
    """Settings of `beam`."""

    total_width: int = Field(16, ge=1, description="Steps of one level, over all trees")
    keep: int | None = Field(
        None, ge=1, description="Nodes of a level that are continued, in each tree; null for a quarter of its width"
    )
    aggregate: Literal["last", "min", "prod"] = Field("last", description="By which of a path's scores its end is ranked")
    trees: int = Field(1, ge=1, description="Independent trees; with one node kept in each that is DVTS")
