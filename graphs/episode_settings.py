"""Settings of the graph whose agent acts in an environment, checked before a run starts. Light: no LangGraph here."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from .settings import SearchSettings


class EpisodeSettings(SearchSettings):
    """Settings of `episode`. `max_tokens` and the other sampling settings are for one turn."""

    env: Any = Field(description="Environment: a name, a description, or a target")
    verifier: Any = Field(
        "task", description="Verifier of what comes out; `task` for the task's own, else the environment's reward; null for none"
    )
    max_tokens: int = Field(256, ge=1, description="Most tokens of one turn")
    steps: int = Field(10, ge=1, description="Most turns of one episode")
    n0: int = Field(1, ge=1, description="First attempts, side by side, from the task alone")
    rounds: int = Field(0, ge=0, description="Most rounds of further attempts, which are told of earlier ones")
    per_round: int = Field(1, ge=1, description="Attempts of a round")
    move: Literal["rewrite", "resample"] = Field(
        "rewrite", description="Whether attempts of a round are told of the best one and a rejected one, or begin from the task"
    )
    feedback: Literal["none", "scalar", "directional", "critique", "directional+critique"] = Field(
        "directional", description="What a further attempt is told; a critique is one more call for each"
    )
    rejected: Literal["worst_of_all", "last_rejected", "none"] = Field(
        "worst_of_all", description="Which rejected attempt is shown beside the best"
    )
    critic_tokens: int = Field(128, ge=1, description="Most tokens of one critique")
    patience: int | None = Field(None, ge=1, description="Rounds without an accepted attempt that end the search; null for none")
    target: float | None = Field(None, ge=0, le=1, description="Score that ends the search; null for none")
    stop_at_pass: bool = Field(True, description="End the search with the first pass")
    observation_chars: int = Field(2000, ge=1, description="Most characters of one observation")
    history_chars: int = Field(12_000, ge=1, description="Most characters of earlier turns that the model sees")
    attempt_chars: int = Field(4000, ge=1, description="Most characters of an earlier attempt that the next one is shown")
    step_seconds: float = Field(300.0, gt=0, description="Seconds that the environment may take for one step")
