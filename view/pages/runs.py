"""The list of runs, with filters and search, and the newest batches above it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from ...core.errors import ConfigError
from ...traces.find import OUTCOMES, Wanted, active, find_runs, graphs, tally
from ...traces.reader import Reader
from ..batch_rows import newest_batches
from ..render import page, reader_of

ROWS = 50
STATUSES = ("queued", "running", "waiting", "done", "failed", "interrupted", *OUTCOMES)
"""What runs can be filtered by."""


def runs(request: Request) -> Response:
    """Answer `/`."""
    reader, query = reader_of(request), request.query_params
    wanted = Wanted(
        status=query.get("status", ""),
        graph=query.get("graph", ""),
        batch=query.get("batch", ""),
        task=query.get("task", ""),
        text=query.get("q", "").strip(),
    )
    unfiltered = not any(asdict(wanted).values()) and not query.get("before")
    return page(
        request,
        "runs.html",
        live=active(reader),
        counts=tally(reader),
        graphs=graphs(reader),
        statuses=STATUSES,
        wanted=wanted,
        newest=newest_batches(reader, limit=5) if unfiltered else [],
        **run_list(reader, wanted, query.get("before") or None),
        query={name: value for name, value in query.items() if name not in ("before", "part")},
    )


def run_list(reader: Reader, wanted: Wanted, before: str | None) -> dict[str, Any]:
    """What the table of runs shows: a page of them, with what each used."""
    if before is not None and (len(before) != 32 or set(before) - set("0123456789abcdef")):
        raise ConfigError(f"{before[:40]!r} is no id of a run", hint="32 hexadecimal digits")
    found = find_runs(reader, wanted, before=before, limit=ROWS)
    return {"found": found, "usages": reader.usages([run.id for run in found.runs]), "before": before}
