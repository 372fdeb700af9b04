"""Kill -9 in the middle of PlanGEN's mixture, resume, and hold the record against a batch that nobody disturbed.

This file is also the program that is killed: `python test_plangen_kill.py STORE LOG [RUN_ID ...]` starts a batch, or resumes
runs. LOG gets one line, the call's seed, for each request that reaches the engine.
"""

import asyncio
import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest

from burnish import ScriptedEngine, Session, Task
from burnish.core.ids import derived_seed
from burnish.search.bandit import State
from burnish.traces.store import Store
from tests.plangen_kit import SMALL, Model, plan_of, score

TASKS = [Task(id=f"t{i}", prompt=f"Plan number {i}?") for i in range(3)]
SETTINGS = {**SMALL, "rounds": 3, "algorithm": "mixture"}
EFFECTS = ("constraints", "bandit.read", "bandit.choice", "bandit.update")


def drawn(call):
    """A text by the call's seed, so that plans differ and are the same in every process."""
    return f"step {call.seed % 150}"


def judged(call):
    """A score by what the plan says; few plans pass."""
    numbers = [int(word) for word in plan_of(call).split() if word.isdigit()]
    return score(sum(numbers) % 96)


def selected(call):
    rng = random.Random(call.seed)
    return "\n".join(f"{arm}: {rng.random():.2f}" for arm in ("best_of_n", "rebase", "tree_of_thought"))


def complete(call):
    return str(call.seed % 2)


def model():
    return Model(plan=drawn, step=drawn, judge=judged, select=selected, complete=complete)


class Logged(ScriptedEngine):
    """Writes down each request that reaches it, and kills its process soon after the last that it is to see."""

    log = -1
    left = int(os.environ.get("BURNISH_TEST_REQUESTS", "0"))
    """Requests before the end; 0 for no end."""

    @classmethod
    def note(cls, line):
        if cls.log < 0:
            return
        os.write(cls.log, f"{line}\n".encode())
        cls.left -= 1
        if cls.left == 0:
            threading.Timer(random.uniform(0, 0.01), os.kill, (os.getpid(), signal.SIGKILL)).start()

    async def generate(self, prompt, sampling, *, watch=None, stop=None):
        self.note(sampling.seed)
        return await super().generate(prompt, sampling, watch=watch, stop=stop)


async def work(store, engine, ids=()):
    """One task after the other: what a bandit chooses depends on which tasks are through."""
    async with Session(engine, store=store, concurrency=1) as session:
        results = session.resume_all(ids) if ids else session.batch("plangen", TASKS, settings=SETTINGS, seed=7)
        async for result in results:
            if result.error:
                raise result.error


class Record:
    """A store, and the log of what reached the engine."""

    program = __file__

    def __init__(self, path):
        self.url, self.db, self.log = f"sqlite:///{path}/runs.db", path / "runs.db", path / "log"

    def query(self, sql):
        if not self.db.exists():
            return []
        with closing(sqlite3.connect(self.db)) as connection:
            try:
                return connection.execute(sql).fetchall()
            except sqlite3.OperationalError:  # The tables are not there yet.
                return []

    def lines(self):
        return self.log.read_text().split() if self.log.exists() else []

    def unfinished(self):
        return [i for (i,) in self.query("SELECT id FROM run WHERE status <> 'done' ORDER BY task_id")]

    def finished(self):
        """Seeds of the calls whose results are stored."""
        return {str(seed) for (seed,) in self.query("SELECT seed FROM call WHERE kind = 'generate' AND state = 'ok'")}

    def start(self, requests=0):
        """Start the program, or have it go on; its exit status. With `requests` it is killed once so many more were sent."""
        command = [sys.executable, self.program, self.url, str(self.log), *self.unfinished()]
        path = os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
        env = {**os.environ, "PYTHONPATH": path, "BURNISH_TEST_REQUESTS": str(requests)}
        return subprocess.run(command, env=env, timeout=120, check=False).returncode

    def killed_after(self, requests):
        assert self.start(requests) == -signal.SIGKILL, "it was through, or has failed, before it could be killed"

    def went_on(self):
        assert self.start() == 0

    def outcome(self):
        """What must be the same whoever was killed, by task and position."""
        run = "JOIN run r ON r.id = x.run_id"
        return [
            self.query("SELECT task_id, answer, outcome, score, status FROM run ORDER BY task_id"),
            self.query(f"SELECT r.task_id, x.position, x.kind, x.preview, x.partial FROM candidate x {run} ORDER BY 1, 2"),
            self.query(f"SELECT r.task_id, x.position, x.outcome, x.score, x.reason FROM verdict x {run} ORDER BY 1, 2"),
            self.query(f"SELECT r.task_id, x.position, x.policy, x.selected, x.reason FROM decision x {run} ORDER BY 1, 2"),
            self.query(f"SELECT r.task_id, x.position, x.role, x.state, x.preview FROM call x {run} ORDER BY 1, 2"),
            self.query(
                f"SELECT r.task_id, x.position, x.kind, x.value_sha FROM call x {run} WHERE x.kind <> 'generate' ORDER BY 1, 2"
            ),
        ]

    def effects(self, kind):
        (first,) = self.query("SELECT id FROM run ORDER BY id LIMIT 1")[0]
        with closing(Store.open_reader(self.url)) as reader:
            return reader.effects(kind, first)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    record = Record(tmp_path_factory.mktemp("undisturbed"))
    asyncio.run(work(record.url, ScriptedEngine(model())))
    return record


def test_the_undisturbed_batch_is_worth_disturbing(undisturbed):
    kinds = dict(undisturbed.query("SELECT kind, count(*) FROM call GROUP BY kind"))
    assert kinds["generate"] > 60
    assert set(kinds) == {"generate", *EFFECTS}
    assert len({choice["arm"] for choice in undisturbed.effects("bandit.choice")}) > 1


def test_a_mixture_that_is_killed_again_and_again_goes_on_as_if_nothing_had_happened(tmp_path, undisturbed):
    rng, record = random.Random(os.environ.get("BURNISH_KILL_SEED", "0")), Record(tmp_path)
    for kills in range(4):
        done, before = record.finished(), len(record.lines())
        assert done or not kills
        if kills < 3:
            record.killed_after(rng.randint(5, 30))
        else:
            record.went_on()
        assert not done & set(record.lines()[before:]), "a finished call was sent again"
    assert record.outcome() == undisturbed.outcome()
    check_bandit(record)


def check_bandit(record):
    """Each choice was learned from once, and each saw all trials before it."""
    choices, updates = record.effects("bandit.choice"), record.effects("bandit.update")
    learned = sum((State.from_json(u) for u in updates), State())
    pulls = Counter(choice["arm"] for choice in choices)
    assert {arm: tally.pulls for arm, tally in learned.arms.items() if tally.pulls} == pulls
    seen = sorted(sum(t["pulls"] for t in choice["state"].values()) for choice in choices)
    assert seen == list(range(len(choices)))


def latency(call):
    # Another order of landing in each process.
    return random.Random(derived_seed(call.seed, os.getpid())).uniform(0, 0.01)


if __name__ == "__main__":
    Logged.log = os.open(sys.argv[2], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    asyncio.run(work(sys.argv[1], Logged(model(), latency=latency), sys.argv[3:]))
