"""Whether anything stands still: a batch of best-of-16 searches on an engine that is paced like a large GPU.

The engine serves 20,000 tokens a second in all, 256 sequences at once, with log-normal lengths whose 99th percentile is
eight times the median. The time of the whole batch, traces on, is held against the barrier-free bound: the same
lengths in the same order on the same machine, never idle while there is work. Two machines are tried: in one all tokens
go to whoever is left, in the other a sequence never gets more than its share of a full batch, so that the longest
answers show.
"""

from __future__ import annotations

import asyncio
import heapq
import math
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import NormalDist

from ..engine.replies import Call, Reply
from .report import Measure, Section, say
from .workload import search_graph, task

TOKENS_PER_SECOND = 20_000.0
SEQUENCES = 256
SAMPLES = 16
TASKS = 128
MEDIAN_TOKENS = 64
P99_FACTOR = 8.0
MAX_TOKENS = int(MEDIAN_TOKENS * P99_FACTOR)
BAR = 1.1
REPETITIONS = 3

SIGMA = math.log(P99_FACTOR) / NormalDist().inv_cdf(0.99)
MEAN_TOKENS = MEDIAN_TOKENS * math.exp(SIGMA**2 / 2)


class Lengths:
    """Draws the length of each answer, and keeps the lengths in the order in which the calls arrived."""

    def __init__(self) -> None:
        self.drawn: list[int] = []

    def reply(self, call: Call) -> Reply:
        """An answer of log-normal length, cut at the token limit as any engine cuts."""
        tokens = max(1, round(call.random.lognormvariate(math.log(MEDIAN_TOKENS), SIGMA)))
        self.drawn.append(min(tokens, MAX_TOKENS))
        return Reply(f"The answer is {call.seed}.", tokens=tokens)


def bound(lengths: Sequence[int], tokens_per_second: float, sequences: int, each: float = math.inf) -> float:
    """Seconds that a machine needs which is never idle while there is work (processor sharing, first come first served).

    `each` is the most tokens a second that one sequence gets.
    """
    waiting = iter(lengths)
    running: list[float] = []
    clock = served = 0.0
    while True:
        while len(running) < sequences and (length := next(waiting, None)) is not None:
            heapq.heappush(running, served + length)
        if not running:
            return clock
        end = heapq.heappop(running)
        clock += (end - served) / min(each, tokens_per_second / (len(running) + 1))
        served = end


def run(repetitions: int = REPETITIONS) -> Section:
    """Measure both machines."""
    measures: list[Measure] = []
    share = TOKENS_PER_SECOND / SEQUENCES
    for name, each in (("all tokens to whoever is left", math.inf), (f"at most {share:.0f} tok/s a sequence", share)):
        say(f"makespan: {TASKS} tasks of best-of-{SAMPLES}, {name}, {repetitions} repetitions")
        ratios = [asyncio.run(_ratio(each)) for _ in range(repetitions)]
        measures.append(Measure(name=f"makespan against the bound, {name}", values=ratios, bar=BAR))
    return Section(
        name="makespan",
        measures=measures,
        details={
            "tokens_per_second": TOKENS_PER_SECOND,
            "sequences": SEQUENCES,
            "tasks": TASKS,
            "samples": SAMPLES,
            "median_tokens": MEDIAN_TOKENS,
            "p99_tokens": MAX_TOKENS,
            "runs_at_once": TASKS,
        },
    )


async def _ratio(each: float) -> float:
    """The batch's seconds over the bound's."""
    from ..engine.scripted import ScriptedEngine
    from ..session import Session

    lengths = Lengths()
    engine = ScriptedEngine(
        lengths.reply,
        tokens_per_second=TOKENS_PER_SECOND,
        max_running=SEQUENCES,
        sequence_tokens_per_second=None if math.isinf(each) else each,
    )
    with tempfile.TemporaryDirectory(prefix="burnish-bench-") as folder:
        store = f"sqlite:///{Path(folder) / 'burnish.db'}"
        # More runs than fill the engine are open at once: while one waits for its longest answer others take the places.
        async with Session(engine, store=store, concurrency=TASKS, calls=SEQUENCES) as session:
            graph = search_graph(SAMPLES, max_tokens=MAX_TOKENS)
            await session.run(graph, task(TASKS))
            lengths.drawn.clear()
            began = time.perf_counter()
            async for result in session.batch(graph, [task(i) for i in range(TASKS)]):
                if result.error:
                    raise result.error
            seconds = time.perf_counter() - began
    return round(seconds / bound(lengths.drawn, TOKENS_PER_SECOND, SEQUENCES, each), 4)
