"""The candidates of a run as a table, and one candidate with all that was said of it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from ...traces import browse
from ..render import number_of, page, reader_of
from ..why import deciding, reasons, scope_of
from ..words import is_running

if TYPE_CHECKING:
    from ...core.ids import Json
    from ...traces.reader import Reader
    from ...traces.views import CandidateRow, RunRow, VerdictRow

ROWS = 100
_CHILDREN = 50


def candidates(request: Request) -> Response:
    """Answer `/runs/ID/candidates`."""
    reader = reader_of(request)
    run = reader.run(request.path_params["run"])
    best, after = request.query_params.get("order") == "best", number_of(request, "after")
    if best:
        rows = browse.best_candidates(reader, run.id, skip=after, limit=ROWS + 1)
    else:
        rows = browse.candidates(reader, run.id, after=after, limit=ROWS + 1)
    more, rows = len(rows) > ROWS, rows[:ROWS]
    return page(
        request,
        "candidates.html",
        live=is_running(run) and not more,
        run=run,
        candidates=rows,
        best=best,
        after=after,
        behind=None if not more else after + ROWS if best else rows[-1].seq,
        total=browse.counts(reader, run.id).candidates,
        **told(reader, run, rows),
    )


def told(reader: Reader, run: RunRow, rows: list[CandidateRow]) -> dict[str, Any]:
    """What tables tell of candidates: the verdict that counts, and why each was kept or dropped."""
    decisions = browse.decisions_about(reader, run.id, {scope_of(c) for c in rows}, [c.id for c in rows])
    chosen = {d.candidate_id for d in decisions if d.candidate_id}
    said = by_candidate(browse.verdicts_of(reader, {c.id for c in rows} | chosen))
    children = browse.with_children(reader, [c.id for c in rows])
    return {
        "said": {id: deciding(own) for id, own in said.items()},
        "why": reasons(rows, said, decisions, children, run.candidate_id),
    }


def candidate(request: Request) -> Response:
    """Answer `/runs/ID/candidates/CID`."""
    reader = reader_of(request)
    run = reader.run(request.path_params["run"])
    found = browse.with_ids(reader, run.id, [request.path_params["candidate"]])
    if not found:
        raise HTTPException(404)
    one = found[0]
    verdicts = browse.verdicts_of(reader, [one.id])
    return page(
        request,
        "candidate.html",
        live=is_running(run),
        run=run,
        candidate=one,
        text=reader.text(one.text_sha),
        right=next((v.valid_prefix for v in reversed(verdicts) if v.valid_prefix is not None), None),
        reasoning=reader.text(one.reasoning_sha) if one.reasoning_sha else "",
        verdicts=[(v, *_said(reader, v)) for v in verdicts],
        decision=next(iter(browse.decisions_about(reader, run.id, [scope_of(one)], [])), None),
        lineage=browse.lineage(reader, run.id, one.id)[:-1],
        merged=browse.with_ids(reader, run.id, one.parents[1:]),
        children=browse.children(reader, one.id, limit=_CHILDREN),
        call=browse.seqs(reader, run.id, [one.call_id]).get(one.call_id) if one.call_id else None,
        why=told(reader, run, [one])["why"][one.id],
    )


def by_candidate(verdicts: Iterable[VerdictRow]) -> dict[str, list[VerdictRow]]:
    """Verdicts by the candidate that they judge, in their order."""
    found: dict[str, list[VerdictRow]] = {}
    for verdict in verdicts:
        found.setdefault(verdict.candidate_id, []).append(verdict)
    return found


def _said(reader: Reader, verdict: VerdictRow) -> tuple[str, Json]:
    """Feedback and evidence of a verdict, whole."""
    feedback = reader.text(verdict.feedback_sha) if verdict.feedback_sha else verdict.feedback
    evidence = json.loads(reader.text(verdict.evidence_sha)) if verdict.evidence_sha else dict(verdict.evidence)
    return feedback, evidence
