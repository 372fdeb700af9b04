"""Settings of the built-in graphs, checked before a run starts. Light: no LangGraph here."""

from __future__ import annotations

from typing import Any

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


class MajoritySettings(SearchSettings):
    """Settings of `majority`."""

    n: int = Field(8, ge=1, description="Samples")
    stop_early: bool = Field(False, description="Cancel the rest once no other answer can catch up")


class DrawSettings(SamplingSettings):
    """Settings of `draw`, which has no verifier."""

    n: int = Field(16, ge=1, description="Samples")
    logprobs: bool = Field(True, description="Keep the log-probabilities of generated tokens")
