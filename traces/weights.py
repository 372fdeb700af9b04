"""About how many bytes records hold: what bounds the queue in front of the writer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..core.candidate import Candidate
from ..core.ids import Json
from ..core.records import Intent, Judged, Outcome, Record


def weight(records: Sequence[Record]) -> int:
    """About how many bytes records hold, for bounding the queue."""
    total = 0
    for record in records:
        weigh = _WEIGHTS.get(type(record))
        total += 300 + (weigh(record) if weigh else 0)
    return total


def _outcome_weight(r: Outcome) -> int:
    c = r.completion
    if c is None:
        return _json_weight(r.value)
    return len(c.text) + len(c.reasoning) + 12 * len(c.token_ids or ()) + 400 * len(c.top_logprobs or ())


def _candidate_weight(r: Candidate) -> int:
    return len(r.text) + len(r.reasoning) + (12 * len(r.token_ids) if r.token_ids else 0)


def _intent_weight(r: Intent) -> int:
    return r.prompt.size if r.prompt else _json_weight(r.request)


def _judged_weight(r: Judged) -> int:
    return len(r.verdict.feedback) + (_json_weight(r.verdict.evidence) if r.verdict.evidence else 0)


_WEIGHTS: dict[type, Callable[[Any], int]] = {
    Outcome: _outcome_weight,
    Candidate: _candidate_weight,
    Intent: _intent_weight,
    Judged: _judged_weight,
}


def _json_weight(value: Json) -> int:
    if isinstance(value, str):
        return len(value)
    if isinstance(value, Mapping):
        return sum(len(k) + _json_weight(v) for k, v in value.items())
    if isinstance(value, Sequence):
        return sum(_json_weight(v) for v in value)
    return 8
