"""What the reader gives back: one value for each row, texts as hashes (`Reader.text`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..core.candidate import Kind
from ..core.completion import FinishReason
from ..core.ids import Json
from ..core.records import CallState
from ..core.runs import RunOutcome, RunStatus
from ..core.verdict import Outcome


@dataclass(frozen=True, kw_only=True)
class BatchRow:
    """A batch of runs."""

    id: str
    name: str
    config: Mapping[str, Json]
    created_ns: int
    runs: int
    done: int
    """Of its runs, those that are done."""


@dataclass(frozen=True, kw_only=True)
class RunRow:
    """A run."""

    id: str
    batch_id: str | None
    task_id: str
    graph: str
    seed: int
    status: RunStatus
    outcome: RunOutcome | None
    score: float | None
    answer: str | None
    """The first 200 characters of the answer; None if there is none."""
    answer_sha: str | None
    """The whole answer; None if there is none."""
    candidate_id: str | None
    budget_limit: str
    error_code: str
    error: str
    owner: str | None
    """The process that runs it; None if none does."""
    heartbeat_ns: int | None
    """When its owner last said that it lives."""
    elapsed_ns: int
    """Active time."""
    created_ns: int
    started_ns: int | None
    ended_ns: int | None
    code_version: str
    forked_from: str | None
    """The run whose record this one began with; None if it began with none. It may have been removed since."""
    forked_at: str | None
    """Where in that run they part."""


@dataclass(frozen=True, kw_only=True)
class StepRow:
    """A graph node's execution."""

    id: str
    seq: int
    ended_seq: int | None
    position: str
    node: str
    parent: str
    status: str
    attempts: int
    started_ns: int
    ended_ns: int | None
    error_code: str
    error: str


@dataclass(frozen=True, kw_only=True)
class CallRow:
    """A model call or another recorded effect."""

    id: str
    seq: int
    ended_seq: int | None
    position: str
    step: str
    kind: str
    role: str
    purpose: str
    engine: str
    model: str
    state: CallState
    attempts: int
    """How often it was sent, or about to be; 0 if its result was taken over from the run that this one was forked from."""
    request_hash: str
    request_sha: str
    prompt_sha: str | None
    seed: int | None
    finish_reason: FinishReason | None
    preview: str | None
    """The first 200 characters of the result's text."""
    text_sha: str | None
    reasoning_sha: str | None
    value_sha: str | None
    """The result of what is no model call, as JSON."""
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    reasoning_tokens: int
    cost_micro_usd: int
    error_code: str
    error: str
    sent_ns: int
    seconds: float | None


@dataclass(frozen=True, kw_only=True)
class CandidateRow:
    """A candidate."""

    id: str
    seq: int
    position: str
    kind: Kind
    parent_id: str | None
    """Its parent in the tree; the first of `parents`."""
    depth: int
    call_id: str | None
    finish_reason: FinishReason
    partial: bool
    """Whether it is only the beginning of a solution."""
    answer: str | None
    """The first 200 characters of the extracted answer's key; None if none could be extracted."""
    answer_sha: str | None
    """The whole key where `answer` is not; else None."""
    preview: str
    """The first 200 characters of the text."""
    text_sha: str
    reasoning_sha: str | None
    created_ns: int
    parents: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class VerdictRow:
    """A verdict."""

    id: str
    seq: int
    position: str
    candidate_id: str
    verifier: str
    version: str
    oracle: bool
    grading: bool
    outcome: Outcome
    score: float | None
    reason: str
    feedback: str
    """The first 2,000 characters."""
    feedback_sha: str | None
    """The whole feedback where `feedback` is not; else None."""
    evidence: Mapping[str, Json]
    """Empty where `evidence_sha` has it."""
    evidence_sha: str | None
    valid_prefix: int | None
    seconds: float | None
    created_ns: int


@dataclass(frozen=True, kw_only=True)
class DecisionRow:
    """A policy's choice."""

    id: str
    seq: int
    position: str
    policy: str
    selected: str | None
    """Expansion id."""
    candidate_id: str | None
    reason: str
    confidence: float | None
    details: Mapping[str, Json]
    options: Json
    created_ns: int


@dataclass(frozen=True, kw_only=True)
class TellRow:
    """One result told to a policy."""

    seq: int
    scope: str
    number: int
    told: str
    """Id of the expansion or probe."""
