"""Settings of the graphs that refine in rounds, checked before a run starts. Light: no LangGraph here."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from .settings import SearchSettings


class RefineSettings(SearchSettings):
    """What all graphs that refine in rounds can be set to."""

    n0: int = Field(1, ge=1, description="First draws, from the task alone")
    rounds: int = Field(4, ge=0, description="Most rounds after them")
    per_round: int = Field(1, ge=1, description="Candidates of a round")
    temperature0: float | None = Field(None, ge=0, le=2, description="Temperature of the first draws; null for the same")
    layout: Literal["question", "turns", "remarks"] = Field(
        "question",
        description="The earlier answer below the question; or as a turn of the model's with the question again; or not shown, "
        "only what is said of it",
    )
    critic_tokens: int = Field(128, ge=1, description="Most tokens of one critique")
    target: float | None = Field(None, ge=0, le=1, description="Score that ends the search; null for none")
    stop_at_pass: bool = Field(True, description="End the search with the first pass")


class IadSettings(RefineSettings):
    """Settings of `iad`."""

    move: Literal["rewrite", "resample", "repair", "auto"] = Field(
        "rewrite",
        description="How candidates of a round are made: from the best one and feedback, anew, from what is right of one, "
        "or as has most often led further",
    )
    feedback: Literal["none", "scalar", "directional", "critique", "directional+critique"] = Field(
        "directional+critique", description="What a rewrite is told; a critique is one more call for each"
    )
    min_delta: float = Field(0.0, ge=0, le=1, description="Least gain in score with which a candidate becomes the best")
    accept_ties: bool = Field(False, description="Whether an equally good candidate becomes the best, where min_delta is 0")
    rejected: Literal["worst_of_all", "last_rejected", "none"] = Field(
        "worst_of_all", description="Which rejected candidate a rewrite is shown beside the best"
    )
    control: Literal["none", "swapped", "foreign"] = Field(
        "none",
        description="For experiments: texts of best and rejected answer exchanged, or what is wrong told of other answers",
    )
    patience: int | None = Field(
        None, ge=1, description="Rounds without an accepted candidate that end the search; null for none"
    )


class SelfRefineSettings(RefineSettings):
    """Settings of `self_refine`. The verifier may be none: nothing is decided by it but to stop at a pass."""

    rounds: int = Field(3, ge=0, description="Most rounds after the first draws")


class SequentialRevisionSettings(RefineSettings):
    """Settings of `sequential_revision`."""

    layout: Literal["question", "turns", "remarks"] = Field(
        "turns",
        description="The earlier answer below the question; or as a turn of the model's with the question again; or not shown, "
        "only what is said of it",
    )
