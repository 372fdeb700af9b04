"""What a run returns to who started it."""

from __future__ import annotations

from dataclasses import dataclass, field

from .errors import BurnishError
from .runs import RunOutcome, Usage
from .verdict import Verdict


@dataclass(frozen=True, kw_only=True)
class Result:
    """The end of one run. Everything else about it is in the trace, under `run_id`."""

    run_id: str
    task_id: str
    answer: str | None = None
    """The text returned; None if there is none."""
    outcome: RunOutcome | None = None
    """None if the run did not get to its end."""
    score: float | None = None
    """Score of the returned candidate; None if it has none."""
    candidate_id: str | None = None
    grade: Verdict | None = None
    """What the task's grader says of the answer; None without a grader."""
    budget_limit: str = ""
    """The limit that ended the run early; empty if none did."""
    usage: Usage = field(default_factory=Usage)
    error: BurnishError | None = None
    """Why the run did not get to its end; None if it did."""

    @property
    def verified(self) -> bool:
        """Whether a verifier passed the answer."""
        return self.outcome == "verified"
