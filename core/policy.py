"""The search policy protocol: a pure ask/tell algorithm, and the values it speaks in.

A policy does no I/O, reads no clock and holds no text. Its state is an immutable value of ids, counts and seeds, so
that the same tells in the same order always give the same asks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from .candidate import Kind
from .completion import FinishReason
from .ids import Json
from .verdict import Outcome


@dataclass(frozen=True, kw_only=True)
class TaskView:
    """What a policy knows of the task."""

    id: str
    metadata: Mapping[str, Json] = field(default_factory=dict[str, Json])


@dataclass(frozen=True, kw_only=True)
class Expansion:
    """A wish for one more candidate: one sample."""

    id: str
    """Unique within the search; the candidate's id and its seed derive from it."""
    kind: Kind = "fresh"
    parents: tuple[str, ...] = ()
    """Expansion ids of the candidates to make it from."""
    sampling: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Sampling fields that this expansion overrides."""
    step: bool = False
    """Whether only the next step is wanted, of a solution that may go on (`continue` from here)."""


@dataclass(frozen=True, kw_only=True)
class Probe:
    """A question about a candidate, which makes none: a second verdict, a look-ahead score."""

    id: str
    """Unique within the search, apart from expansion ids."""
    target: str
    """Expansion id of the candidate asked about."""


@dataclass(frozen=True, kw_only=True)
class Moves:
    """What to start and what to stop. All of it may run at the same time."""

    expansions: tuple[Expansion, ...] = ()
    probes: tuple[Probe, ...] = ()
    cancel: tuple[str, ...] = ()
    """Ids of expansions or probes in flight that are no longer wanted; their results are not told."""

    def __bool__(self) -> bool:
        return bool(self.expansions or self.probes or self.cancel)


@dataclass(frozen=True, kw_only=True)
class Scored:
    """One result, as far as policies decide on it."""

    id: str
    """Id of the expansion or probe."""
    outcome: Outcome = "abstain"
    score: float | None = None
    """In [0, 1]; None if there is none."""
    answer: str | None = None
    """Key of the extracted answer; None if none could be extracted."""
    logprob: float | None = None
    """Sum of the token log-probabilities; None if not asked for."""
    tokens: int = 0
    """Generated tokens."""
    finish_reason: FinishReason | None = None
    """None where nothing was generated."""
    valid_prefix: int | None = None
    """Characters of the candidate that are right; None if the verifier cannot tell."""
    done: bool = True
    """Whether the candidate is a whole solution; False for a beginning that can be continued, or was cut within a step."""
    error: str | None = None
    """Code of the failure; None if a candidate came to be."""


@dataclass(frozen=True, kw_only=True)
class Selection:
    """Which candidate to return, and why."""

    id: str | None
    """Expansion id; None if there is no candidate to return."""
    reason: str
    """Machine-readable: `passed`, `best_score`, `all_failed`, `plurality`, `unverified`, `no_candidate`, ..."""
    confidence: float | None = None
    """The policy's own measure in [0, 1], such as the share of votes; None if it has none."""
    details: Mapping[str, Json] = field(default_factory=dict[str, Json])
    """What the choice rests on; stored with the decision."""


S = TypeVar("S")


class Policy(Protocol[S]):
    """A search algorithm. `S` is its state, an immutable value."""

    @property
    def name(self) -> str:
        """Short name, stored with each decision."""
        ...

    def start(self, task: TaskView, seed: int) -> S:
        """The state before anything was asked for."""
        ...

    def ask(self, state: S) -> tuple[S, Moves]:
        """What to start and stop now. Empty while nothing is in flight means: no more."""
        ...

    def tell(self, state: S, result: Scored) -> S:
        """The state after one result. A late, unknown or duplicate result leaves it as it is."""
        ...

    def finish(self, state: S, must: bool) -> Selection | None:
        """The choice, or None to go on. With `must` (budget spent, or nothing in flight and nothing asked) never None."""
        ...
