"""What the write path is worth: rows a second and what a caller waits, against a design that commits each row by itself.

The rows are those of candidates of 4 kB of text: intent, result, candidate, verdict and tell. burnish's journal has the caller
wait for the intent and queues the rest behind it. The naive design writes the very same rows, made beforehand, each in a
transaction of its own with `synchronous=FULL`, and has its caller wait for each; its connection has a thread, so that the loop
is free. The two take turns on fresh databases. A producer alone has nobody to share a commit with.
"""

from __future__ import annotations

import asyncio
import sqlite3
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from ..core.candidate import Candidate
from ..core.completion import Completion, TokenCounts
from ..core.ids import Json, derived_id, json_hash, new_run_id
from ..core.prompt import Prompt
from ..core.records import Intent, Judged, Outcome, Record, StepStart, Told
from ..core.runs import RunSpec
from ..core.sampling import Sampling
from ..core.task import Task
from ..core.verdict import Verdict
from ..stats import median
from . import bare
from .report import Measure, Section, say

CANDIDATES = 512
CHARACTERS = 4000
PRODUCERS = (64, 1)
REPETITIONS = 5
BAR_RATE, BAR_WAIT = 2.0, 0.5
"""With 64 producers: at least so many times the rows a second, at most so much of the wait."""


@dataclass
class Written:
    """One repetition of one design."""

    seconds: float = 0.0
    waits: list[float] = field(default_factory=list[float])
    """Seconds that the rows of a candidate kept its caller waiting."""

    def wait(self, share: float) -> float:
        """The wait that a share of the callers stays below."""
        return sorted(self.waits)[round(share * (len(self.waits) - 1))]


def run(repetitions: int = REPETITIONS) -> Section:
    """Measure both numbers of producers."""
    measures: list[Measure] = []
    details: dict[str, Json] = {"candidates": CANDIDATES, "characters": CHARACTERS, "store": "SQLite, synchronous=FULL"}
    for producers in PRODUCERS:
        say(f"write path: {CANDIDATES} candidates of {CHARACTERS} characters, {producers} at once, {repetitions} repetitions")
        pairs = asyncio.run(_alternate(producers, repetitions))
        measures += _measures(producers, pairs)
        details[f"{producers} at once"] = {  # Waits are for one candidate.
            "journal_rows_per_second": [round(rows / ours.seconds) for ours, _, rows in pairs],
            "naive_rows_per_second": [round(rows / naive.seconds) for _, naive, rows in pairs],
            "journal_wait_ms": [round(median(ours.waits) * 1e3, 3) for ours, _, _ in pairs],
            "naive_wait_ms": [round(median(naive.waits) * 1e3, 3) for _, naive, _ in pairs],
        }
    return Section(name="write_path", measures=measures, details=details)


def _measures(producers: int, pairs: Sequence[tuple[Written, Written, int]]) -> list[Measure]:
    many = producers > 1
    rate = [round(naive.seconds / ours.seconds, 2) for ours, naive, _ in pairs]
    half, most = ([round(ours.wait(s) / naive.wait(s), 3) for ours, naive, _ in pairs] for s in (0.5, 0.99))
    name = f"  {producers} at once, against a commit per row"
    return [
        Measure(name=f"rows a second,{name[1:]}", values=rate, bar=BAR_RATE if many else None, least=True),
        Measure(name=f"{name}: wait, median", values=half, bar=BAR_WAIT if many else None),
        Measure(name=f"{name}: wait, 99th percentile", values=most),
    ]


async def _alternate(producers: int, repetitions: int) -> list[tuple[Written, Written, int]]:
    """What the journal and the naive design took, and how many rows they wrote."""
    found: list[tuple[Written, Written, int]] = []
    for _ in range(repetitions + 1):
        with tempfile.TemporaryDirectory(prefix="burnish-bench-") as folder:
            run_id, ours = await journal(Path(folder) / "ours.db", CANDIDATES, producers)
            recording = bare.read(Path(folder) / "ours.db", run_id)
            found.append((ours, await naive(Path(folder) / "naive.db", recording, producers), recording.rows))
    return found[1:]  # The first warms imports and caches.


async def journal(path: Path, candidates: int, producers: int) -> tuple[str, Written]:
    """Write candidates through the journal of a run; the run's id."""
    from ..traces.store import Store

    store = await Store.open(f"sqlite:///{path}")
    spec = RunSpec(id=new_run_id(), task=Task(prompt="Write."), graph="write_path")
    await store.create_run(spec)
    held = await store.acquire(spec.id)
    await held.write(StepStart(position="/s", node="s"))
    waiting = iter([_records(spec.id, n, text) for n, text in enumerate(islice(texts(), candidates))])
    done = Written()

    async def produce() -> None:
        for intent, behind in waiting:
            began = time.perf_counter()
            await held.write(intent)
            done.waits.append(time.perf_counter() - began)
            held.queue(*behind)

    began = time.perf_counter()
    await asyncio.gather(*(produce() for _ in range(producers)))
    await held.write(StepStart(position="/end", node="end"))  # All that is queued is durable before this is.
    done.seconds = time.perf_counter() - began
    await store.close()
    return spec.id, done


async def naive(path: Path, recording: bare.Recording, producers: int) -> Written:
    """Write the same rows, each committed by itself and waited for."""
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA journal_mode=WAL")
        for statement in recording.schema:
            db.execute(statement)
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    db.execute("PRAGMA synchronous=FULL")
    for statement, values in recording.run:
        db.execute(statement, values)
    waiting = iter([[row for part in vars(c).values() for row in part] for c in recording.candidates])
    done, loop = Written(), asyncio.get_running_loop()
    with closing(db), ThreadPoolExecutor(1) as thread:

        async def produce() -> None:
            for rows in waiting:
                began = time.perf_counter()
                for statement, values in rows:
                    await loop.run_in_executor(thread, db.execute, statement, values)
                done.waits.append(time.perf_counter() - began)

        began = time.perf_counter()
        await asyncio.gather(*(produce() for _ in range(producers)))
        done.seconds = time.perf_counter() - began
    return done


def texts(characters: int = CHARACTERS) -> Iterator[str]:
    """Real text, each piece another one: what this package is written in."""
    rest = ""
    for path in sorted(Path(__file__).parents[1].rglob("*.py")):
        rest += path.read_text(encoding="utf-8")
        while len(rest) >= characters:
            yield rest[:characters]
            rest = rest[characters:]


def _records(run_id: str, number: int, text: str) -> tuple[Intent, list[Record]]:
    """What a search writes of one candidate: what it waits for, and what it queues behind that."""
    position = f"/s/x{number}"
    call, prompt, request = f"{position}/call", Prompt.of("Write."), {"role": "proposer", "sampling": {"temperature": 0.7}}
    intent = Intent(
        position=call,
        step="/s",
        request=request,
        prompt=prompt,
        request_hash=json_hash({"request": request, "prompt": prompt.to_json()}),
        kind="generate",
        engine="scripted",
        model="scripted",
        sampling=Sampling(seed=number),
    )
    completion = Completion(text, tokens=TokenCounts(prompt=10, completion=1000))
    candidate = Candidate(
        id=derived_id(run_id, position, "candidate"), position=position, text=text, call_id=derived_id(run_id, call, "call")
    )
    judged = Judged(
        position=f"{position}/v.exact",
        candidate_id=candidate.id,
        verifier="exact",
        version="1",
        oracle=False,
        verdict=Verdict.failed("it is another one", reason="mismatch"),
    )
    behind = [Outcome(position=call, state="ok", completion=completion, seconds=1.0), candidate, judged]
    return intent, [*behind, Told(scope="/s", number=number, id=f"x{number}")]
