"""Why verifiers abstained, in words: what one said of its failure, and the commonest of many reasons."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, cast

from ..core.errors import BurnishError
from ..core.ids import Json
from ..core.result import Result
from ..core.text import one_line
from .lookup import reader
from .output import count

if TYPE_CHECKING:
    from ..traces.reader import Reader
    from ..traces.views import VerdictRow

_RUNS = 100
"""Most runs of a batch whose verdicts are read for the commonest reason."""


def causes(found: Reader, verdicts: Iterable[VerdictRow]) -> Counter[str]:
    """How often verifiers abstained, by verifier and reason, with the error that kept it from judging."""
    return Counter(_cause(found, v) for v in verdicts if v.outcome == "abstain")


def commonest(results: Sequence[Result], store: str | None) -> list[str]:
    """A line with the reason that was given most often; none where nobody abstained."""
    runs = [r.run_id for r in results if r.usage.abstentions][:_RUNS]
    if not runs:
        return []
    told: Counter[str] = Counter()
    try:
        with reader(store) as found:
            for run_id in runs:
                told += causes(found, found.verdicts(run_id))
    except BurnishError:
        return []  # The results are what was asked for; a store that cannot be read just then takes none of them away.
    return [f"abstained: {why} ({n:,} of {count(told.total(), 'abstention')})" for why, n in told.most_common(1)]


def _cause(found: Reader, verdict: VerdictRow) -> str:
    evidence = verdict.evidence
    if verdict.evidence_sha:
        stored: Json = json.loads(found.text(verdict.evidence_sha))
        evidence = cast("Mapping[str, Json]", stored if isinstance(stored, Mapping) else {})
    said = evidence.get("error") or verdict.feedback
    return one_line(": ".join(str(part) for part in (verdict.verifier, verdict.reason, said) if part), 300)
