"""The record of one run in memory, for runs that nobody needs to read again: replays on stored samples.

It answers and counts as the database does (`usage.py` has the same definitions as queries); nothing of it outlives it.
"""

from __future__ import annotations

from dataclasses import fields, replace

from ..core.budget import Spend
from ..core.candidate import Candidate
from ..core.completion import TokenCounts
from ..core.errors import StoreError
from ..core.ids import Json
from ..core.records import Intent, Judged, Outcome, Record
from ..core.runs import RunEnd, RunSpec, Usage
from ..core.text import storable
from .load import Recorded
from .recall import Recall
from .rows import micro_usd


class MemoryJournal(Recall):
    """A journal (`core.journal.RunRecord`) of a run that is done once and then forgotten."""

    def __init__(self, spec: RunSpec) -> None:
        super().__init__(Recorded())
        self.spec = spec
        """What the run is to do."""
        self.resumed = False
        """A run in memory is never resumed."""
        self.elapsed = 0.0
        self.spent = Spend()
        self.end: RunEnd | None = None
        """How the run ended; None while it goes on."""
        self.candidates: dict[str, Candidate] = {}
        """By id, in the order in which they came to be."""
        self.judged: list[Judged] = []
        """Verdicts in the order in which they were given, those of graders included."""
        self._effects: dict[str, list[Json]] = {}
        self._usage = Usage()
        self._micro_usd = 0

    @property
    def run_id(self) -> str:
        """Id of the run."""
        return self.spec.id

    async def shared(self, kind: str) -> list[Json]:
        """Values of this run's finished effects of a kind: a run in memory knows no others."""
        return list(self._effects.get(kind, ()))

    async def write(self, *records: Record) -> None:
        """Take records in."""
        self.queue(*records)

    def queue(self, *records: Record) -> None:
        """Take records in.

        Raises:
            StoreError: the run is finished.
        """
        if self.end is not None:
            raise StoreError(f"the run {self.run_id} is finished", hint="make another journal", code="finished")
        for record in records:
            self._count(record)
            self._recorded.learn(record)

    async def finish(self, end: RunEnd, elapsed: float) -> None:
        """Record how the run ended."""
        self.end, self.elapsed = end, elapsed
        self._recorded.clear()

    async def usage(self) -> Usage:
        """What the run used: sums over its calls and verdicts."""
        return replace(self._usage, usd=self._micro_usd / 1e6, seconds=self.elapsed)

    def _count(self, record: Record) -> None:
        """Add what a record is the first to tell of."""
        match record:
            case Outcome():
                intent: object = self._recorded.calls.get(storable(record.position))
                if isinstance(intent, Intent) and intent.engine and record.state != "refused":
                    self._count_call(intent, record)
                elif isinstance(intent, Intent) and record.state == "ok":
                    self._effects.setdefault(intent.kind, []).append(record.value)
            case Candidate():
                self.candidates.setdefault(record.id, record)
            case Judged():
                if storable(record.position) not in self._recorded.verdicts:
                    self.judged.append(record)
                    if not record.grading:
                        abstained = record.verdict.outcome == "abstain"
                        self._usage = _plus(self._usage, Usage(verdicts=1, abstentions=int(abstained)))
            case _:
                pass

    def _count_call(self, intent: Intent, outcome: Outcome) -> None:
        tokens = outcome.completion.tokens if outcome.completion else TokenCounts()
        judging = intent.purpose == "verifier"
        call = Usage(
            calls=1,
            failed_calls=int(outcome.state == "error"),
            prompt_tokens=tokens.prompt,
            cached_tokens=tokens.cached,
            output_tokens=tokens.completion,
            reasoning_tokens=tokens.reasoning,
            verifier_calls=int(judging),
            verifier_tokens=tokens.total if judging else 0,
        )
        self._usage = _plus(self._usage, call)
        self._micro_usd += micro_usd(outcome.completion.cost_usd) if outcome.completion else 0


def _plus(a: Usage, b: Usage) -> Usage:
    return Usage(**{f.name: getattr(a, f.name) + getattr(b, f.name) for f in fields(Usage)})
