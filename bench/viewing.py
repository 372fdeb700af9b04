"""How long a person waits for the viewer, in a real browser: 10,000 runs, and a run of 100,000 calls.

From asking for a page until the browser has drawn it. The rows are copies of those of a small scripted run, with ids and
positions of their own, since only their number matters here. `python -m burnish.bench.viewing` makes them and measures.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import create_engine, insert, select

from ..core.errors import BurnishError
from ..core.ids import derived_id, new_run_id
from ..traces import schema as s
from .report import Measure, Section, say, table
from .screenshots import browser, viewer
from .showcase import fill

if TYPE_CHECKING:
    from playwright.sync_api import Page

RUNS, CALLS = 10_000, 100_000
BAR = 2.0
REPETITIONS = 9
_DRAWN = "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
_AT_ONCE = 10_000


def run(folder: Path, *, runs: int = RUNS, calls: int = CALLS, repetitions: int = REPETITIONS) -> Section:
    """Measure on a store made in a folder.

    Raises:
        BurnishError: there is no Chromium, or the viewer does not start.
    """
    store = f"sqlite:///{folder}/view.db"
    say(f"viewer: {runs:,} runs, one of {calls:,} calls")
    large = enlarge(store, asyncio.run(fill(store, tasks=1))["best_of_n"], runs, calls)
    pages = {
        f"viewer: list of {runs:,} runs": "/",
        f"viewer: a run of {calls:,} calls": f"/runs/{large}",
        "viewer: its calls": f"/runs/{large}/calls",
        "viewer: its candidates": f"/runs/{large}/candidates",
    }
    found = {name: Measure(name=name, values=[], bar=BAR, unit="s") for name in pages}
    with viewer(store) as address, browser() as chromium:
        page = chromium.new_page(viewport={"width": 1280, "height": 800})
        for repetition in range(repetitions + 1):
            for name, path in pages.items():
                seconds = _shown(page, address + path)
                if repetition:  # The first fills caches.
                    found[name] = replace(found[name], values=[*found[name].values, seconds])
    return Section(name="viewing", measures=list(found.values()), details={"repetitions": repetitions})


def enlarge(store: str, model: str, runs: int, calls: int) -> str:
    """Add copies of a run, and one with many calls and as many candidates, whose id it gives."""
    engine = create_engine(store)
    with engine.begin() as connection:
        run = dict(connection.execute(select(s.run).where(s.run.c.id == model)).mappings().one())
        now = time.time_ns()
        ids = [new_run_id(now // 1_000_000 + at) for at in range(runs + 1)]
        connection.execute(insert(s.run), [{**run, "id": id, "batch_id": None, "candidate_id": None} for id in ids])
        for table_, rate, seq in ((s.step, 0, 1), (s.call, 1, 2), (s.candidate, 1, 3)):
            first = dict(connection.execute(select(table_).where(table_.c.run_id == model)).mappings().first() or {})
            rows = _copies(first, ids[-1], table_.name, calls if rate else 1, seq)
            while page := [row for _, row in zip(range(_AT_ONCE), rows, strict=False)]:
                connection.execute(insert(table_), page)
    engine.dispose()
    return ids[-1]


def _copies(row: dict[str, Any], run: str, kind: str, n: int, seq: int) -> Iterator[dict[str, Any]]:
    for at in range(n):
        position = str(row["position"]).replace("/x0", f"/x{at}")
        own: dict[str, Any] = {"id": derived_id(run, position, kind), "run_id": run, "seq": 3 * at + seq, "position": position}
        if "sent_ns" in row:
            own["sent_ns"] = row["sent_ns"] + at * 10_000_000
        yield {**row, **own}


def _shown(page: Page, address: str) -> float:
    began = time.perf_counter()
    answer = page.goto(address)
    page.evaluate(_DRAWN)
    if answer is None or answer.status != 200:
        raise BurnishError(f"{address} cannot be shown", code="bench")
    return round(time.perf_counter() - began, 4)


def main() -> int:
    """Measure and print. Exit status 1 if a bar is missed."""
    with tempfile.TemporaryDirectory(prefix="burnish-bench-") as folder:
        section = run(Path(folder))
    print(table([section]))
    return 1 if section.missed else 0


if __name__ == "__main__":
    sys.exit(main())
