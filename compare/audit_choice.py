"""What choosing by a verifier gives, told from an audit of samples: the best of k, without any new sample.

Of a verifier that scores, how it orders answers matters more than where its threshold lies.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..core.errors import ConfigError
from ..core.ids import Json
from ..core.rank import rank
from ..stats import Auroc, Interval, bootstrap, chosen_at_k, paired_bootstrap, pass_at_k, within_auroc
from .audit_result import AuditResult, Judged


@dataclass(frozen=True, kw_only=True)
class Choice:
    """How often the chosen one of k samples is right. Intervals are the bootstrap's over tasks."""

    best_of: Mapping[int, Interval]
    """By k, of the best by the verifier; at 1 it is what a sample is worth without it."""
    gain: Mapping[int, Interval]
    """By k above 1, what that is more than one sample, task by task."""
    any_of: Mapping[int, Interval]
    """By k, whether one of them is right at all: pass@k, which no verifier exceeds."""
    auroc: Auroc | None
    """Of how many pairs of a right and a wrong answer to one task it puts the right one first, equals counting half; None if
    fewer than two tasks have both."""

    @staticmethod
    def of(result: AuditResult) -> Choice | None:
        """What choosing gives; None where the answers are no samples. Those that nobody could grade are left out."""
        graded = [[j for j in own if j.right is not None] for own in result.units] if result.sampled else []
        votes = _votes([own for own in graded if own])
        most = min(map(len, votes), default=0)
        if most < 2:
            return None
        ks = sorted({2**i for i in range(most.bit_length())} | {most})
        values = {k: [chosen_at_k(v, k) for v in votes] for k in ks}
        return Choice(
            best_of={k: bootstrap(own) for k, own in values.items()},
            gain={k: paired_bootstrap(own, values[1]) for k, own in values.items() if k > 1},
            any_of={k: bootstrap([pass_at_k(len(v), sum(r for _, r in v), k) for v in votes]) for k in ks},
            auroc=_auroc(votes),
        )

    def rows(self) -> list[list[str]]:
        """Header and rows, by k."""
        head = ["BEST OF", "BY THE VERIFIER", "MORE THAN ONE SAMPLE", "ANY RIGHT"]
        return [
            head,
            *(
                [str(k), str(found), str(self.gain[k]) if k in self.gain else "-", str(self.any_of[k])]
                for k, found in self.best_of.items()
            ),
        ]

    def lines(self) -> list[str]:
        """What the table does not say."""
        if self.auroc is None:
            return []
        says = "" if self.auroc.informative else ", which may be chance"
        pairs = "of the pairs of a right and a wrong answer to one task the right one is ranked higher in"
        return [f"{pairs} {self.auroc.interval}{says} ({self.auroc.questions:,} tasks have both)"]

    def to_json(self) -> dict[str, Json]:
        """Plain form."""
        at_k = {"best_of": self.best_of, "gain": self.gain, "any_of": self.any_of}
        plain: dict[str, Json] = {name: {str(k): i.to_json() for k, i in found.items()} for name, found in at_k.items()}
        return plain | {"auroc": {**self.auroc.interval.to_json(), "tasks": self.auroc.questions} if self.auroc else None}


def _votes(units: Sequence[Sequence[Judged]]) -> list[list[tuple[float, bool]]]:
    """For each task how its answers are ordered, as numbers, and which are right."""
    keys = sorted({rank(j.said, j.score) for own in units for j in own})
    place = {key: float(i) for i, key in enumerate(keys)}
    return [[(place[rank(j.said, j.score)], j.right is True) for j in own] for own in units]


def _auroc(votes: Sequence[Sequence[tuple[float, bool]]]) -> Auroc | None:
    try:
        return within_auroc(votes)
    except ConfigError:  # Fewer than two tasks have both right and wrong samples.
        return None
