"""What a candidate costs beside the model: intent, result, candidate and verdict each durable, an engine of zero latency.

One search of 1,024 candidates, 256 or 64 at once, against a bare writer of the very same rows, and against LangGraph's
`Send` with its SQLite saver. The three take turns, on fresh databases, so that a slow moment of the machine hits all.
"""

from __future__ import annotations

import asyncio
import gc
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from ..core.ids import Json
from . import bare, langgraph_send
from .report import Measure, Section, say
from .workload import reply, search_graph, task

CANDIDATES = 1024
WIDTHS = (256, 64)
REPETITIONS = 9
BARE_BAR, SEND_BAR = 2.0, 0.2
_USUAL = (700, 10, 10)
"""Thresholds of CPython's garbage collector."""


def run(repetitions: int = REPETITIONS) -> Section:
    """Measure both widths."""
    measures: list[Measure] = []
    details: dict[str, Json] = {
        "repetitions": repetitions,
        "engine": "scripted, zero latency",
        "store": "SQLite, synchronous=FULL",
    }
    for wide in WIDTHS:
        say(f"overhead: {CANDIDATES:,} candidates, {wide} at once, {repetitions} repetitions")
        ours, writer, send, rows = asyncio.run(_alternate(wide, repetitions))
        details[f"{wide} wide"] = {
            "rows_per_candidate": rows,
            "burnish_us": _micro(ours),
            "bare_writer_us": _micro(writer),
            "langgraph_send_us": _micro(send),
        }
        measures += [
            Measure(name=f"candidate, {wide} wide", values=_micro(ours), unit="us"),
            Measure(name=f"  {wide} wide, against a bare writer of its rows", values=_ratios(ours, writer), bar=BARE_BAR),
            Measure(name=f"  {wide} wide, against LangGraph Send and its saver", values=_ratios(ours, send), bar=SEND_BAR),
        ]
    alone = asyncio.run(_alone(repetitions))
    measures.append(Measure(name="a whole run of one candidate", values=[round(s * 1e3, 2) for s in alone], unit="ms"))
    return Section(name="overhead", measures=measures, details=details)


async def _alone(repetitions: int) -> list[float]:
    """Seconds of a run with one candidate: what of the above is the run's and not its candidates'."""
    found: list[float] = []
    for _ in range(repetitions + 1):
        with tempfile.TemporaryDirectory(prefix="burnish-bench-") as folder:
            found.append((await search(Path(folder) / "alone.db", 1, 1))[1])
    return found[1:]


async def _alternate(wide: int, repetitions: int) -> tuple[list[float], list[float], list[float], float]:
    """Seconds a candidate for burnish, the bare writer and LangGraph, and how many rows a candidate writes."""
    ours: list[float] = []
    writer: list[float] = []
    send: list[float] = []
    rows = 0.0
    for repetition in range(repetitions + 1):
        with tempfile.TemporaryDirectory(prefix="burnish-bench-") as folder:
            gc.collect()  # Each begins without the garbage of the one before, whose collection would count as its own time.
            run_id, seconds = await search(Path(folder) / "ours.db", CANDIDATES, wide, warm=True)
            recording = bare.read(Path(folder) / "ours.db", run_id)
            with _usual_collector():
                bare_seconds = await bare.write(Path(folder) / "bare.db", recording, wide)
            with _usual_collector():
                send_seconds = await langgraph_send.run(Path(folder) / "send.db", CANDIDATES, wide)
        if repetition == 0:  # the first warms imports and caches
            continue
        rows = recording.rows / CANDIDATES
        ours.append(seconds / CANDIDATES)
        writer.append(bare_seconds / CANDIDATES)
        send.append(send_seconds / CANDIDATES)
    return ours, writer, send, rows


@contextmanager
def _usual_collector() -> Generator[None]:
    """The garbage collector as Python sets it: what a session does to it for the process is burnish's, not the others'."""
    ours = gc.get_threshold()
    gc.unfreeze()
    gc.set_threshold(*_USUAL)
    gc.collect()
    try:
        yield
    finally:
        gc.collect()
        gc.freeze()
        gc.set_threshold(*ours)


async def search(path: Path, candidates: int, wide: int, *, warm: bool = False) -> tuple[str, float]:
    """One search, so many candidates of it at once; the run's id and the seconds it took.

    A `warm` session has made a run before: its statements are compiled, as the bare writer's are.
    """
    from ..engine.scripted import ScriptedEngine
    from ..session import Session

    async with Session(ScriptedEngine(reply), store=f"sqlite:///{path}", calls=wide) as session:
        graph = search_graph(candidates, width=wide)
        if warm:
            await session.run(search_graph(1), task(1))
        began = time.perf_counter()
        result = await session.run(graph, task())
        return result.run_id, time.perf_counter() - began


def _micro(seconds: list[float]) -> list[float]:
    return [round(s * 1e6, 1) for s in seconds]


def _ratios(ours: list[float], theirs: list[float]) -> list[float]:
    return [round(a / b, 3) for a, b in zip(ours, theirs, strict=True)]
