"""Why a candidate was kept or dropped, in a line, from what is recorded of it: choices, verdicts and what was made of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from ..core.rank import rank
from ..traces.views import CandidateRow, DecisionRow, VerdictRow
from .words import number


def reasons(
    candidates: Iterable[CandidateRow],
    verdicts: Mapping[str, Sequence[VerdictRow]],
    decisions: Sequence[DecisionRow],
    children: Mapping[str, int],
    returned: str | None,
) -> dict[str, str]:
    """For each candidate a line.

    Args:
        candidates: to tell of.
        verdicts: by candidate, in their order; those of the candidates that were chosen, too.
        decisions: of the run's searches.
        children: how many candidates were made of each.
        returned: what the run returned.
    """
    chosen = {d.candidate_id: d for d in decisions if d.candidate_id}
    by_scope = {d.position: d for d in decisions}
    return {
        c.id: _kept(c, chosen.get(c.id), returned) or _dropped(c, verdicts, by_scope.get(scope_of(c)), children.get(c.id, 0))
        for c in candidates
    }


def scope_of(candidate: CandidateRow) -> str:
    """The position of the search or node that made a candidate."""
    return candidate.position.rpartition("/")[0]


def deciding(verdicts: Sequence[VerdictRow]) -> VerdictRow | None:
    """The last verdict that is no grader's."""
    return next((v for v in reversed(verdicts) if not v.grading), None)


def _kept(candidate: CandidateRow, decision: DecisionRow | None, returned: str | None) -> str:
    if decision is not None:
        sure = f", confidence {number(decision.confidence)}" if decision.confidence is not None else ""
        what = "returned" if candidate.id == returned else "chosen"
        return f"{what}: {decision.policy} took it ({decision.reason}{sure})"
    return "returned" if candidate.id == returned else ""


def _dropped(
    candidate: CandidateRow, verdicts: Mapping[str, Sequence[VerdictRow]], decision: DecisionRow | None, children: int
) -> str:
    own = deciding(verdicts.get(candidate.id, ()))
    said = _said(own) + (" · cut at its token limit" if candidate.finish_reason == "length" else "")
    if children:
        return f"gone on with: {children:,} made of it; {said}"
    if decision is None:
        return f"kept: its search has not chosen yet; {said}" if own and own.outcome == "pass" else said
    if decision.candidate_id is None:
        return f"dropped: {decision.policy} took none ({decision.reason}); {said}"
    return f"dropped: {_against(candidate, own, deciding(verdicts.get(decision.candidate_id, ())), decision)}"


def _against(candidate: CandidateRow, own: VerdictRow | None, other: VerdictRow | None, decision: DecisionRow) -> str:
    """What spoke against a candidate whose search took another one."""
    if decision.reason in ("plurality", "weighted_vote"):
        return f"its answer did not win the vote ({decision.reason}); {_said(own)}"
    if candidate.partial:
        return f"not gone on with; {_said(own)}"
    if own is None or other is None:
        return f"{_said(own)}; {decision.policy} took another one ({decision.reason})"
    mine, theirs = rank(own.outcome, own.score), rank(other.outcome, other.score)
    if mine == theirs:
        return f"{_said(own)}, no better than the chosen one"
    return f"{_said(own)}; the chosen one: {_said(other)}" + (f" ({decision.reason})" if mine > theirs else "")


def _said(verdict: VerdictRow | None) -> str:
    if verdict is None:
        return "not judged"
    score = f" {number(verdict.score)}" if verdict.score is not None else ""
    return f"{verdict.outcome}{score}" + (f" ({verdict.reason})" if verdict.reason else "")
