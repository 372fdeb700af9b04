"""What a process without vLLM holds: the peak of a batch of 10,000 scripted runs, in a process of its own."""

from __future__ import annotations

import asyncio
import json
import resource
import subprocess
import sys
import time
from pathlib import Path

from ..core.errors import BurnishError
from .report import Measure, Section, say
from .workload import reply, search_graph, task

RUNS = 10_000
SAMPLES = 2
BAR_MB = 300.0


def run(store: Path, runs: int = RUNS) -> Section:
    """Measure one batch, written to the SQLite file `store`.

    Raises:
        BurnishError: the batch failed.
    """
    say(f"memory: a batch of {runs:,} scripted runs with {SAMPLES} candidates each")
    done = subprocess.run(
        [sys.executable, "-m", "burnish.bench.memory", str(store), str(runs)], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise BurnishError(f"the batch of the memory benchmark failed: {done.stderr.strip()[-400:]}", code="bench")
    found = json.loads(done.stdout.splitlines()[-1])
    return Section(
        name="memory",
        measures=[
            Measure(name=f"peak memory, {runs:,} runs", values=[found["peak_mb"]], bar=BAR_MB, unit="MB"),
            Measure(name="  runs per second", values=[found["runs_per_second"]], unit="runs/s"),
        ],
        details={"samples": SAMPLES, "store_mb": round(store.stat().st_size / 1e6, 1), **found},
    )


async def batch(store: Path, runs: int) -> float:
    """Run the batch; the seconds that it took."""
    from ..engine.scripted import ScriptedEngine
    from ..session import Session

    async with Session(ScriptedEngine(reply), store=f"sqlite:///{store}") as session:
        began = time.perf_counter()
        graph = search_graph(SAMPLES)
        async for result in session.batch(graph, (task(i) for i in range(runs)), name="memory"):
            if result.error:
                raise result.error
        return time.perf_counter() - began


def _child(store: Path, runs: int) -> None:
    seconds = asyncio.run(batch(store, runs))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    peak_mb = peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6
    print(json.dumps({"peak_mb": round(peak_mb, 1), "seconds": round(seconds, 2), "runs_per_second": round(runs / seconds, 1)}))


if __name__ == "__main__":
    _child(Path(sys.argv[1]), int(sys.argv[2]))
