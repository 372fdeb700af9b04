"""One run of a comparison, as it is counted: what came out, whether it is right, what it cost."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from ..core.candidate import Kind
from ..core.runs import Usage
from ..core.verdict import Outcome


@dataclass(frozen=True, kw_only=True)
class Judged:
    """One candidate of a trial: what the verifier said of it, and what is true of it."""

    said: Outcome | None
    """The verifier's newest verdict; None if it was not asked."""
    right: bool | None
    """The grader's; None if the grader abstained or was not asked."""
    chosen: bool = False
    """Whether it was returned."""
    answer: str | None = None
    """Key of its extracted answer, under which votes are counted; None if none was found, or none looked for."""
    fresh: bool = True
    """Whether it was made from the task alone: one more sample of it, whatever else was made."""


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One arm on one task, once."""

    task_id: str
    seed: int
    """The run's seed; in a replay the number of the order in which the pool was drawn from."""
    run_id: str = ""
    """Empty for a replay, which stores nothing."""
    right: bool | None
    """Whether the grader passes the answer. False without an answer; None if the grader abstained."""
    outcome: str
    """`verified`, `rejected`, `unverified`, `no_answer`, or `failed`."""
    usage: Usage
    candidates: Sequence[Judged] = field(default_factory=list[Judged])
    """All that were made, in the order of their making."""
    beyond: int = 0
    """Samples that were asked for and that the pool did not hold; 0 outside of replays."""

    @staticmethod
    def of(
        candidates: Iterable[tuple[str, str | None, Kind]],
        said: Mapping[str, Outcome],
        grades: Mapping[str, Outcome],
        chosen: str | None,
        **rest: Any,
    ) -> Trial:
        """A trial from ids, answers and kinds of its whole candidates, what the verifier said of each and the grader, by id.

        `chosen` is the id of the answer; None if the run gave none.
        """
        judged = [
            Judged(said=said.get(i), right=_truth(grades.get(i)), chosen=i == chosen, answer=answer, fresh=kind == "fresh")
            for i, answer, kind in candidates
        ]
        return Trial(right=False if chosen is None else _truth(grades.get(chosen)), candidates=judged, **rest)


def _truth(outcome: Outcome | None) -> bool | None:
    return None if outcome in (None, "abstain") else outcome == "pass"


Trials: TypeAlias = Mapping[str, Sequence[Trial]]
"""The trials of each arm, by its name."""
