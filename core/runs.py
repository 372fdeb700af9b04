"""A run as a whole: how it is set up, how it ends, what it used."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from .budget import Budget
from .ids import Json
from .task import Task

RunStatus: TypeAlias = Literal["queued", "running", "waiting", "done", "failed", "interrupted"]
"""`waiting` runs have asked a person and go on with the reply. `failed` and `interrupted` runs can be resumed; `failed`
ended with an error, `interrupted` was stopped or killed."""

RunOutcome: TypeAlias = Literal["verified", "rejected", "unverified", "no_answer"]
"""Of a run that is done. `verified`: the returned candidate passed. `rejected`: it failed, as did all others.
`unverified`: nobody judged it. `no_answer`: there is no candidate to return."""


@dataclass(frozen=True, kw_only=True)
class RunSpec:
    """What a run is to do; stored before anything else, so that an accepted run is never lost."""

    id: str
    task: Task
    graph: str
    """Built-in name, `module:attribute`, `/path/file.py:attribute`, or the name of a graph given in code."""
    settings: Mapping[str, Json] = field(default_factory=dict[str, Json])
    """The graph's settings, as given."""
    seed: int = 0
    budget: Budget = field(default_factory=Budget)
    engines: Mapping[str, Json] = field(default_factory=dict[str, Json])
    """For each role what its engine is (`EngineInfo.to_json`) and how to make it again (`recipe`)."""
    batch_id: str | None = None
    """The batch that it belongs to; None for a run of its own."""
    code_version: str = ""
    """Version of burnish."""
    forked_from: str | None = None
    """The run whose record this one began with; None if it began with none."""
    forked_at: str | None = None
    """Where in that run they part: a position, or `end`."""


@dataclass(frozen=True, kw_only=True)
class RunEnd:
    """How a run ended."""

    status: Literal["done", "failed", "interrupted", "waiting"]
    outcome: RunOutcome | None = None
    """None unless done."""
    answer: str | None = None
    """The text returned; None if there is none."""
    candidate_id: str | None = None
    """The candidate returned; None if the answer is none's."""
    score: float | None = None
    """Its score; None if it has none."""
    budget_limit: str = ""
    """The limit that ended the run early; empty if none did."""
    error_code: str = ""
    error: str = ""


@dataclass(frozen=True, kw_only=True)
class Usage:
    """What a run used: sums over its stored calls and verdicts."""

    calls: int = 0
    """Model calls sent, failed and cancelled ones included."""
    failed_calls: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    """Prompt tokens that the engine's prefix cache held."""
    output_tokens: int = 0
    """Generated tokens, reasoning included."""
    reasoning_tokens: int = 0
    verdicts: int = 0
    abstentions: int = 0
    """Verdicts that are abstentions."""
    verifier_calls: int = 0
    """Of `calls`, those made by verifiers."""
    verifier_tokens: int = 0
    """Prompt and generated tokens of verifiers' calls."""
    usd: float = 0.0
    seconds: float = 0.0
    """Active time."""
