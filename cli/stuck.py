"""`burnish runs stuck`: runs that do not get on, each with the command that helps."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from .lookup import reader
from .options import AsJson, Store
from .output import count, emit, say, short, show_table
from .times import span_ns, spoken

if TYPE_CHECKING:
    from ..traces.reader import Reader
    from ..traces.stuck import Stuck

_COLOURS = {"killed": "red", "silent": "yellow", "slow": "yellow", "waiting": "yellow", "interrupted": "yellow"}


def stuck(
    slow: Annotated[
        str, typer.Option("--slow", metavar="SPAN", help="How long a call may take before its run is listed.")
    ] = "10m",
    limit: Annotated[int, typer.Option("--limit", min=1, help="Most lines to list.")] = 50,
    store: Store = None,
    as_json: AsJson = False,
) -> int:
    """List runs that do not get on: killed, without a heartbeat, in one call for long, waiting for an answer or for somebody
    to go on.

    With --json, data is [{why, run_id, batch_id, runs, since_ns, process, calls_in_flight, go_on}]; runs of a batch that wait
    for the same thing are one object.
    """
    from ..traces.stuck import find_stuck

    patience, now = span_ns(slow, "--slow"), time.time_ns()
    with reader(store) as found:
        listed = find_stuck(found, slow_ns=patience, now_ns=now)
        shown = [(one, _go_on(found, one)) for one in listed[:limit]]
    if as_json:
        emit([{**asdict(one), "go_on": go_on} for one, go_on in shown], truncated=len(listed) > limit)
        return 0
    if not listed:
        say("nothing is stuck")
        return 0
    show_table(
        ["RUN", "WHY", "FOR", "CALLS OUT", "PROCESS", "GO ON"], [_cells(one, go_on, now) for one, go_on in shown], _COLOURS
    )
    if len(listed) > limit:
        say(f"{len(listed) - limit:,} more: --limit {len(listed)}")
    return 0


def _go_on(found: Reader, one: Stuck) -> str:
    """The command, or what to do before it."""
    from ..graphs.registry import is_graph

    which = short(one.run_id) if one.run_id else f"--batch {short(one.batch_id or '')}"
    if one.why == "waiting":
        return f"burnish runs answer {which}" if one.run_id else f"burnish runs list --status waiting {which}"
    before = {"silent": f"stop {one.process}, then ", "slow": f"wait, or stop {one.process}, then "}
    # A batch's runs are all of one graph.
    run = found.run(one.run_id) if one.run_id else found.runs(batch=one.batch_id, limit=1)[0]
    where = "" if is_graph(run.graph) else " --graph FILE.py:ATTRIBUTE"
    return f"{before.get(one.why, '')}burnish runs resume {which}{where}"


def _cells(one: Stuck, go_on: str, now_ns: int) -> list[str]:
    which = short(one.run_id) if one.run_id else f"{count(one.runs, 'run')} of {short(one.batch_id or '')}"
    out = str(one.calls_in_flight) if one.process else "-"
    return [which, one.why, spoken(now_ns - one.since_ns), out, one.process or "-", go_on]
