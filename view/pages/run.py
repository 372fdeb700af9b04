"""A run's page: what came of it, where its time and tokens went, its candidates, its calls.

However long the run, the page reads sums, and of everything else the first part; the rest is on the pages that it links to.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any, cast

from starlette.requests import Request
from starlette.responses import Response

from ...core.text import one_line
from ...traces import browse
from ...traces.nodes import calls_by_step, node_uses
from .. import charts, graph_svg, timeline_svg, tree_svg
from ..render import number_of, page, reader_of
from ..why import deciding, reasons
from ..words import LONGEST, is_running
from .candidates import by_candidate

if TYPE_CHECKING:
    from markupsafe import Markup

    from ...core.budget import Budget
    from ...core.runs import Usage
    from ...traces.reader import Reader
    from ...traces.views import CallRow, CandidateRow, DecisionRow, RunRow

CANDIDATES, CALLS, STEPS, LISTED = 300, 400, 2000, 20
"""How much of a run is drawn, or listed, at most."""


def run(request: Request) -> Response:
    """Answer `/runs/ID`."""
    reader = reader_of(request)
    row = reader.run(request.path_params["run"])
    spec, usage, running = reader.spec(row.id), reader.usage(row.id), is_running(row)
    counts = browse.counts(reader, row.id)
    now_ns = time.time_ns() if running else row.ended_ns or row.heartbeat_ns or row.created_ns
    return page(
        request,
        "run.html",
        live=running or row.status in ("queued", "waiting"),
        run=row,
        spec=spec,
        usage=usage,
        budget=_budget(spec.budget, usage),
        counts=counts,
        answer=_answer(reader, row),
        verifiers=browse.said(reader, row.id),
        effects=_effects(reader, row.id),
        failed=reader.calls(row.id, failed=True, limit=LISTED),
        **_where(reader, row, now_ns),
        **_tree(reader, row, counts.candidates),
        **_timeline(reader, row, now_ns, counts.calls, number_of(request, "from")),
    )


def _budget(budget: Budget, usage: Usage) -> list[tuple[str, float, float]]:
    """Each limit's name, what was used of it, and the limit."""
    used: dict[str, float] = {
        "calls": usage.calls,
        "tokens": usage.prompt_tokens + usage.output_tokens,
        "output_tokens": usage.output_tokens,
        "verifier_calls": usage.verdicts,
        "seconds": usage.seconds,
        "usd": usage.usd,
    }
    return [(name, used[name], limit) for name in used if (limit := getattr(budget, name)) is not None]


def _answer(reader: Reader, row: RunRow) -> str | None:
    return reader.text(row.answer_sha) if row.answer_sha else row.answer


def _where(reader: Reader, row: RunRow, now_ns: int) -> dict[str, Any]:
    """Where time and tokens went, drawn and as numbers."""
    calls = calls_by_step(reader, row.id)
    tokens = {step: sums["prompt_tokens"] + sums["output_tokens"] for step, sums in calls.items()}
    steps = browse.first_steps(reader, row.id, limit=STEPS)
    drawn = graph_svg.draw(steps, now_ns=now_ns, tokens=tokens, href=f"/runs/{row.id}/calls?node=")
    return {"graph": drawn, "nodes": node_uses(reader, row.id, calls)}


def _tree(reader: Reader, row: RunRow, total: int) -> dict[str, Any]:
    """The first candidates, and whatever was chosen with those above it, drawn; and why the first are as they are."""
    decisions = browse.decisions(reader, row.id, limit=LISTED)
    first = browse.candidates(reader, row.id, limit=CANDIDATES)
    chosen = {id for id in (*(d.candidate_id for d in decisions), row.candidate_id) if id is not None}
    known = {c.id: c for c in first}
    for one in chosen - known.keys():
        known |= {c.id: c for c in browse.lineage(reader, row.id, one)}
    shown = sorted(known.values(), key=lambda c: c.seq)
    verdicts = browse.verdicts_of(reader, known)
    said = by_candidate(verdicts)
    listed = _listed(shown, chosen)
    return {
        "tree": tree_svg.draw(
            shown,
            verdicts,
            decisions,
            href=f"/runs/{row.id}/candidates/",
            chosen=row.candidate_id,
            limit=CANDIDATES,
            total=total,
        ),
        "decisions": [(d, _rounds(d)) for d in decisions],
        "listed": listed,
        "said": {id: deciding(own) for id, own in said.items()},
        "why": reasons(listed, said, decisions, browse.with_children(reader, [c.id for c in listed]), row.candidate_id),
    }


def _rounds(decision: DecisionRow) -> Markup | None:
    """The best score after each round of a search that refines in rounds, drawn; None of any other."""
    found = decision.details.get("scores")
    scores = cast("list[object]", found) if isinstance(found, list) else []
    if len(scores) < 2:
        return None
    return charts.scores([float(x) if isinstance(x, int | float) else None for x in scores])


def _listed(shown: list[CandidateRow], chosen: set[str]) -> list[CandidateRow]:
    """What was chosen, and the first of the rest."""
    return [c for c in shown if c.id in chosen] + [c for c in shown if c.id not in chosen][:LISTED]


def _timeline(reader: Reader, row: RunRow, now_ns: int, total: int, after: int) -> dict[str, Any]:
    """A window of the run's calls, drawn."""
    calls = reader.calls(row.id, after=after, limit=CALLS + 1)
    drawn = timeline_svg.draw(calls[:CALLS], href=f"/runs/{row.id}/calls/", now_ns=now_ns, limit=CALLS)
    return {
        "timeline": drawn,
        "window": calls[:CALLS],
        "window_from": after,
        "window_behind": calls[CALLS - 1].seq if len(calls) > CALLS else None,
        "total": total,
    }


def _effects(reader: Reader, run: str) -> list[tuple[CallRow, str]]:
    """Recorded effects that are no model calls, each with the beginning of its value."""
    rows = browse.effects(reader, run, limit=LISTED)
    texts = reader.texts([row.value_sha for row in rows if row.value_sha])
    return [(row, one_line(_compact(texts.get(row.value_sha or "", "")), 300)) for row in rows]


def _compact(text: str) -> str:
    """The value as JSON, without the passages of a retrieval, which its own page shows."""
    if len(text) > LONGEST:
        return text[:LONGEST]
    value = json.loads(text or "null")
    if isinstance(value, dict) and "texts" in value and "documents" in value:
        del value["texts"]
    return json.dumps(value, ensure_ascii=False)
