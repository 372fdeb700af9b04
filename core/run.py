"""A run as its code sees it: what all contexts of one run share, and the best that it has so far.

`core/runs.py` has what the store keeps of a run; this lives only as long as the run is worked on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from .budget import Ledger
from .candidate import Candidate
from .claims import Claims
from .engine import Engine
from .errors import Waiting
from .human import Asker, Traffic
from .journal import Journal
from .rank import rank
from .records import Record
from .stop import Stop
from .task import Task
from .verdict import Verdict


@dataclass
class Run:
    """What all contexts of one run share."""

    task: Task
    seed: int
    journal: Journal
    engines: Mapping[str, Engine]
    """Engines by role; `default` serves every role that has none of its own."""
    ledger: Ledger
    stop: Stop = field(default_factory=Stop)
    claims: Claims = field(default_factory=Claims)
    locate: Callable[[], tuple[str, ...]] = lambda: ()
    """Names of the graph nodes that the calling code runs within, outermost first."""
    candidates: dict[str, Candidate] = field(default_factory=dict[str, Candidate])
    """By id, all that the run has made."""
    verdicts: dict[str, Verdict] = field(default_factory=dict[str, Verdict])
    """By candidate id, the newest verdict of a verifier that is no grader."""
    limit: str = ""
    """The limit of the budget that was met; empty if none was."""
    asker: Asker | None = None
    """Asks a person at once; None lets the run wait for the reply."""
    waiting: Waiting | None = None
    """Set once a question has ended this execution of the run."""
    traffic: Traffic = field(default_factory=Traffic)

    @property
    def best(self) -> Candidate | None:
        """The candidate that most speaks for, of equals the first; what a run returns whose budget ends it."""
        return max(self.candidates.values(), key=self._standing, default=None)

    def note(self, candidate: Candidate, verdict: Verdict | None = None) -> None:
        """Remember a candidate, and what was said of it."""
        self.candidates[candidate.id] = candidate
        if verdict:
            self.verdicts[candidate.id] = verdict

    def _standing(self, candidate: Candidate) -> tuple[int, float]:
        """How much speaks for a candidate. The beginning of an answer is better than none, and than nothing else."""
        said = self.verdicts.get(candidate.id)
        return (-1, 0.0) if candidate.partial else rank(said.outcome, said.score) if said else rank("abstain", None)

    @property
    def step(self) -> str:
        """Position of the graph node that the calling code runs within; empty outside of all nodes."""
        return "/".join(("", *self.locate()))

    async def settle(self, record: Record, *, queued: bool) -> None:
        """Write a record of what is over: to be durable before this returns, or only `queued`."""
        if queued:
            self.journal.queue(record)
        else:
            await self.journal.write(record)
