"""Batches: their list, and one with how its runs ended and, of a comparison, its arms against each other."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sqlalchemy import select
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from ...core.errors import ConfigError
from ...stats import wilson
from ...traces import schema as s
from ...traces.find import Wanted, active, tally
from ..arms import ABOUT, comparison, graded
from ..batch_rows import newest_batches
from ..charts import accuracy_against_tokens
from ..render import page, reader_of
from .runs import run_list

if TYPE_CHECKING:
    from ...traces.reader import Reader

ROWS = 50


def batches(request: Request) -> Response:
    """Answer `/batches`."""
    reader = reader_of(request)
    rows = newest_batches(reader, before=request.query_params.get("before") or None, limit=ROWS + 1)
    behind = rows[ROWS - 1].id if len(rows) > ROWS else None
    return page(request, "batches.html", live=active(reader), batches=rows[:ROWS], behind=behind)


def batch(request: Request) -> Response:
    """Answer `/batches/ID`."""
    reader, before = reader_of(request), request.query_params.get("before") or None
    b = s.batch.c
    found = reader.rows(select(b.id, b.name, b.config, b.created_ns).where(b.id == request.path_params["batch"]))
    if not found:
        raise HTTPException(404)
    row = found[0]
    config: dict[str, Any] = json.loads(row["config"])
    counts = tally(reader, batch=row["id"])
    marks = graded(reader, row["id"])
    return page(
        request,
        "batch.html",
        live=active(reader, batch=row["id"]),
        batch=row,
        config={name: value for name, value in config.items() if name not in ("tasks", ABOUT)},
        counts=counts,
        graded=marks,
        accuracy=wilson(marks.right, marks.judged) if marks.judged else None,
        **_comparison(reader, config),
        **run_list(reader, Wanted(batch=row["id"]), before),
        query={},
    )


def _comparison(reader: Reader, config: dict[str, Any]) -> dict[str, Any]:
    """The arms, drawn and as numbers, and why not where they cannot be told."""
    nothing: dict[str, Any] = {"comparison": None, "chart": None, "no_numbers": ""}
    try:
        found = comparison(reader, config)
    except ConfigError as e:
        return {**nothing, "no_numbers": str(e)}
    return {**nothing, "comparison": found, "chart": accuracy_against_tokens(found.arms)} if found else nothing
