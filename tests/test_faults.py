"""Kills at every named point and at random times, over all built-in graphs, both stores and both kinds of durability.

A part of it runs always; all of it with BURNISH_FAULTS=all (`make test-faults`). What must hold afterwards is in `kill_kit.py`:
no finished call is repeated, nothing acknowledged is lost, and the answer is that of an undisturbed run.
"""

import itertools
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from sqlalchemy import NullPool, create_engine
from sqlalchemy.exc import DBAPIError

from burnish.graphs.registry import BUILTIN
from burnish.traces.audit import audit
from tests.fault_works import WORKS
from tests.kill_kit import check
from tests.traces_kit import POSTGRES, asked, postgres_url

ALL = os.environ.get("BURNISH_FAULTS") == "all"
SEED = int(os.environ.get("BURNISH_KILL_SEED", "0"))
TRIALS = 16 if ALL else 1
"""With up to five kills at random times each, for each work."""
POINTS = (
    "before_intent",
    "after_intent",
    "after_response",
    "before_result",
    "after_queued",
    "before_commit",
    "inside_commit",
    "before_ack",
    "after_ack",
    "before_decision",
    "before_end",
    "after_end",
    "before_checkpoint",
    "after_checkpoint",
    "inside_migration",
)
ONCE = ("after_end", "before_checkpoint", "after_checkpoint", "inside_migration")
"""Reached once for sure; others twice and more."""
ONCE_A_RUN = ("before_decision", "before_end")
STORES = [
    pytest.param("sqlite", "full", id="sqlite-full"),
    pytest.param("sqlite", "normal", id="sqlite-normal"),
    pytest.param("postgres", "full", id="postgres-full", marks=pytest.mark.postgres),
    pytest.param("postgres", "normal", id="postgres-normal", marks=pytest.mark.postgres),
]
CHILD = Path(__file__).with_name("fault_child.py")


class Server:
    """Forks a process for each trial."""

    def __init__(self) -> None:
        environment = {**os.environ, "PYTHONPATH": str(CHILD.parent.parent)}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.fault_child"],
            cwd=CHILD.parent.parent,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def carry_out(self, **trial) -> int:
        self.process.stdin.write(json.dumps(trial) + "\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait(30)
        self.process.stdout.close()


class Trial:
    """One batch on a store of its own, killed and resumed."""

    cancels = False

    def __init__(self, server: Server, folder: Path, work: str, url: str, synchronous: str = "full", engine: str = "") -> None:
        self.engine_url = engine
        self.server, self.work, self.url, self.synchronous = server, work, url, synchronous
        self.log, self.kills, self.midway, self.seconds = folder / "log", 0, 0, 0.0
        self.log.touch()
        self.engine = create_engine(url, poolclass=NullPool)

    def lines(self) -> list[str]:
        return self.log.read_text().splitlines()

    def query(self, sql: str, *values: object) -> list:
        return asked(self.engine, sql, *values)

    def left(self) -> list[str] | None:
        """Runs that are not done; None if none was stored yet."""
        try:
            found = self.query("SELECT id, status FROM run")
        except DBAPIError:
            return None
        return [i for i, status in found if status != "done"] if found else None

    def go(self, point: str = "", hit: int = 1, delay: float = 0.0) -> bool:
        """Start or go on; whether that was killed."""
        left = self.left()
        if left == []:
            return False
        began = time.monotonic()
        status = self.start(self.work, point, hit, delay, left or [])
        self.seconds += time.monotonic() - began
        assert status in (0, -9), f"exit status {status}: see the traceback above"
        self.kills += status == -9
        self.midway += status == -9 and bool(self.left()) and self.query("SELECT count(*) FROM call")[0][0] > 0
        return status == -9

    def start(self, work: str = "", point: str = "", hit: int = 1, delay: float = 0.0, ids: Sequence[str] = ()) -> int:
        """One process, to its end: its exit status."""
        order = {"work": work or self.work, "point": point, "hit": hit, "delay": delay, "ids": list(ids)}
        where = {"url": self.url, "log": str(self.log), "engine": self.engine_url, "synchronous": self.synchronous}
        return self.server.carry_out(**where, **order)

    def end(self) -> None:
        while self.left() != []:
            assert not self.go()


@pytest.fixture(scope="module")
def server():
    server = Server()
    yield server
    server.close()


@pytest.fixture(scope="module")
def undisturbed(server, tmp_path_factory):
    """By the name of the work, a batch that nobody kills."""
    made = {}

    def of(work: str) -> Trial:
        if work not in made:
            folder = tmp_path_factory.mktemp(work)
            made[work] = Trial(server, folder, work, f"sqlite:///{folder}/runs.db")
            made[work].end()
            assert made[work].kills == 0
        return made[work]

    return of


@pytest.fixture
def trial_on(server, tmp_path, record_property):
    """Makes a trial on a kind of store; the kills are counted in pytest's summary."""
    opened, trials = [], []

    def make(work: str, kind: str = "sqlite", synchronous: str = "full") -> Trial:
        if kind == "postgres":
            if not POSTGRES:
                pytest.skip("no BURNISH_TEST_POSTGRES")
            opened.append(postgres_url())
            url = opened[-1].__enter__()
        else:
            url = f"sqlite:///{tmp_path}/runs.db"
        trials.append(Trial(server, tmp_path, work, url, synchronous))
        return trials[-1]

    yield make
    for trial in trials:
        record_property("kills", trial.kills)
        record_property("kills in the midst of a run", trial.midway)
    for context in opened:
        context.__exit__(None, None, None)


def cases(number: int, point: str) -> list:
    """All works on all stores, or in a short suite for each point another work, on SQLite and PostgreSQL in turn."""
    names = list(WORKS)
    chosen = itertools.product(names, STORES) if ALL else [(names[number % len(names)], STORES[number % 2 * 2])]
    return [pytest.param(point, work, *s.values, id=f"{point}-{work}-{s.id}", marks=s.marks) for work, s in chosen]


CASES = [case for number, point in enumerate(POINTS) for case in cases(number, point)]


def test_every_built_in_graph_is_killed():
    assert {work.graph for work in WORKS.values()} == set(BUILTIN)


@pytest.mark.parametrize(("point", "work", "kind", "synchronous"), CASES)
def test_a_kill_at_a_named_point_changes_nothing(trial_on, undisturbed, point, work, kind, synchronous):
    if kind == "postgres" and point in ("before_checkpoint", "after_checkpoint"):
        pytest.skip("PostgreSQL does its own checkpoints")
    trial = trial_on(work, kind, synchronous)
    rng = random.Random(f"{point}{work}{SEED}")
    hit = rng.randint(1, min(2, WORKS[work].tasks) if point in ONCE_A_RUN else 1 if point in ONCE else 2)
    assert trial.go(point, hit), f"the point {point} was not reached {hit} times"
    trial.end()
    check(trial, undisturbed(work))


@pytest.mark.parametrize("number", range(TRIALS))
@pytest.mark.parametrize("work", list(WORKS))
def test_kills_at_random_times_change_nothing(trial_on, undisturbed, work, number):
    kind = "postgres" if POSTGRES and number % 2 else "sqlite"
    trial = trial_on(work, kind, "normal" if number % 4 > 1 else "full")
    rng = random.Random(f"{work}{SEED}/{number}")
    for _ in range(rng.randint(1, 5)):
        if not trial.go(delay=rng.uniform(0.01, undisturbed(work).seconds)):
            break
    trial.end()
    check(trial, undisturbed(work))


@pytest.mark.parametrize("point", ["before_sweep", "inside_sweep"])
def test_a_kill_while_pruning_leaves_whole_runs(trial_on, point):
    trial = trial_on("single")
    for _ in range(2):
        trial.end()
        trial.start()
    newest = trial.query("SELECT max(id) FROM run")
    before = trial.query("SELECT count(*) FROM run")[0][0]
    assert trial.start("prune", point) == -9
    assert [f for f in audit(trial.url) if f.kind == "error"] == []
    assert trial.start("prune") == 0
    assert audit(trial.url) == []
    assert trial.query("SELECT max(id) FROM run") == newest
    assert trial.query("SELECT count(*) FROM run")[0][0] < before
