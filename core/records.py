"""What the journal takes and gives back: the facts of a run, one value for each kind of fact.

Nobody changes them once they are made, though they are not frozen: a frozen dataclass takes several times as long to
make, and a candidate makes five of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from .budget import Spend
from .candidate import Candidate
from .completion import Completion
from .ids import Json
from .policy import Selection
from .prompt import Prompt
from .sampling import Sampling
from .verdict import Verdict

CallState: TypeAlias = Literal["intent", "ok", "error", "cancelled", "refused"]
"""`intent`: sent, or about to be; no result known. `refused`: the budget did not allow it."""


@dataclass(kw_only=True, slots=True)
class StepStart:
    """A graph node begins."""

    position: str
    node: str
    """Name of the node in its graph."""
    parent: str = ""
    """Position of the node that this one runs within; empty at the top."""


@dataclass(kw_only=True, slots=True)
class StepEnd:
    """A graph node ended."""

    position: str
    status: Literal["done", "failed"]
    error_code: str = ""
    error: str = ""


@dataclass(kw_only=True, slots=True)
class Intent:
    """A call is about to be made. Durable before the call is sent."""

    position: str
    step: str
    """Position of the graph node it belongs to; empty outside any."""
    kind: str
    """`generate`, `score`, or the name of a user's effect."""
    request_hash: str
    request: Json
    """What is asked for, in plain JSON, without the prompt."""
    role: str = ""
    purpose: str = ""
    """`verifier` for calls that a verifier makes; empty for all others."""
    engine: str = ""
    """Kind of the engine; empty for what is no model call."""
    model: str = ""
    prompt: Prompt | None = None
    sampling: Sampling | None = None
    reserved: Spend | None = None
    """Held in the budget until the outcome settles it; None where no budget is set."""


@dataclass(kw_only=True, slots=True)
class Outcome:
    """How a call ended. Durable before a graph's node sees the result."""

    position: str
    state: CallState
    completion: Completion | None = None
    """The result of a `generate` call, partial if it was cancelled."""
    value: Json = None
    """The result of any other call."""
    error_code: str = ""
    error: str = ""
    seconds: float = 0.0
    """From sending to result."""
    spent: Spend | None = None
    """Settled in the budget; None where no budget is set."""


@dataclass(kw_only=True, slots=True)
class Judged:
    """A verdict on a candidate."""

    position: str
    candidate_id: str
    verifier: str
    version: str
    oracle: bool
    verdict: Verdict
    seconds: float = 0.0
    grading: bool = False
    """Whether it only measures: a grader's verdict, which decided nothing."""


@dataclass(kw_only=True, slots=True)
class Decided:
    """A policy's choice at the end of a search."""

    position: str
    policy: str
    selection: Selection
    candidate_id: str | None
    options: Json = None
    """What was chosen from: candidates with outcome, score and answer."""


@dataclass(kw_only=True, slots=True)
class Told:
    """One result was told to a policy, as the `number`-th of its search."""

    scope: str
    number: int
    """From 0, without gaps."""
    id: str
    """Expansion or probe id."""


Record: TypeAlias = StepStart | StepEnd | Intent | Outcome | Candidate | Judged | Decided | Told


@dataclass(kw_only=True, slots=True)
class RecordedCall:
    """A call as the journal knows it."""

    request_hash: str
    state: CallState
    completion: Completion | None = None
    value: Json = None
    error_code: str = ""
    error: str = ""
