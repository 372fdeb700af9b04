"""What a round of retrieval costs beside model and retriever: an engine and a retriever of zero latency, every call durable.

A round is one turn of the model and one search: an intent that is waited for until it is on the disk, that of the search and two
results that are written behind it, and two nodes of the graph. Its cost is the slope between dialogues of few and of more rounds,
so that what a run costs once (its graph, its rows, its end) is left out. Both are run in turn, and their medians compared: what
else the machine does meets both.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from ..core.ids import Json
from ..engine.replies import Call
from ..engine.scripted import ScriptedEngine
from ..graphs.auto_rag import auto_rag
from ..graphs.builtin import Graph
from ..graphs.rag_settings import AutoRagSettings
from ..retrieval.passage import Hit
from ..session import Session
from ..stats import median
from .report import Measure, Section, say

FEW, MORE = 1, 6
RUNS, WARM = 20, 2
REPETITIONS = 5
BAR_MS = 2.0


class Instant:
    """Finds three new passages at once."""

    def __init__(self) -> None:
        self._found = 0

    @property
    def identity(self) -> Mapping[str, Json]:
        return {"kind": "instant"}

    async def search(self, queries: Sequence[str], k: int, exclude: Collection[str] = ()) -> list[list[Hit]]:
        return [[self._hit(rank) for rank in range(1, k + 1)] for _ in queries]

    async def close(self) -> None:
        pass

    def _hit(self, rank: int) -> Hit:
        self._found += 1
        return Hit(str(self._found), "A title", "A passage of a hundred words or so. " * 15, 1.0 / rank, rank)


def run(repetitions: int = REPETITIONS) -> Section:
    """Measure the slope, once for each repetition."""
    say(f"rag: dialogues of {FEW} and of {MORE} rounds, {RUNS} of each, {repetitions} repetitions")
    rounds = [asyncio.run(_slope()) for _ in range(repetitions)]
    details: dict[str, Json] = {"runs": RUNS, "rounds": [FEW, MORE], "store": "SQLite, synchronous=FULL"}
    measure = Measure(name="a round beside model and retriever", values=rounds, bar=BAR_MS, unit="ms")
    return Section(name="rag", measures=[measure], details=details)


async def _slope() -> float:
    """Milliseconds of one more round."""
    with tempfile.TemporaryDirectory(prefix="burnish-bench-") as folder:
        async with Session(ScriptedEngine(_reply), store=f"sqlite:///{Path(folder)}/runs.db") as session:
            graphs = {rounds: _graph(rounds) for rounds in (FEW, MORE)}
            took: dict[int, list[float]] = {rounds: [] for rounds in graphs}
            for number in range(RUNS + WARM):
                for rounds, graph in graphs.items():
                    took[rounds].append(await _seconds(session, graph, f"Question {number}?"))
    few, more = (median(took[rounds][WARM:]) for rounds in (FEW, MORE))
    return round((more - few) / (MORE - FEW) * 1e3, 3)


async def _seconds(session: Session, graph: Graph, question: str) -> float:
    began = time.perf_counter()
    await session.run(graph, question)
    return time.perf_counter() - began


def _graph(rounds: int) -> Graph:
    settings = {"rounds": rounds, "elicit": 0, "at_end": "give_up"}
    return auto_rag(AutoRagSettings.model_validate(settings), retriever=Instant())


def _reply(call: Call) -> str:
    return "Intermediate Answer: what it says is of no use, and all of it is missing still.\nRefined Query: something else"
