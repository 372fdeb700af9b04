"""Which of two judged candidates is better."""

from __future__ import annotations

from .verdict import Outcome


def rank(outcome: Outcome, score: float | None) -> tuple[int, float]:
    """A key that grows with how much speaks for a candidate.

    A pass comes first, the higher its score the better. Then failures with some credit, then abstentions (nothing is
    known of them), then plain failures (known to be wrong). So an abstention is never chosen over a pass.
    """
    if outcome == "pass":
        return 3, 1.0 if score is None else score
    if outcome == "fail":
        return (2, score) if score else (0, 0.0)
    return 1, 0.0
