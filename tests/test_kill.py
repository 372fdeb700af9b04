"""Kill -9 at random points, resume, and hold the record against what really happened.

The child (`kill_child.py`) runs three runs at once: parallel tasks, subgraphs invoked side by side, searches within
them, identical requests, an effect with a random value, results that land in another order in each process.
"""

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest

from burnish.core.ids import derived_seed
from burnish.traces.store import Store

CHILD = Path(__file__).with_name("kill_child.py")
TABLES = ("step", "call", "candidate", "verdict", "decision", "tell")


class Trial:
    """One batch, its store and its log."""

    def __init__(self, path: Path, shape: str) -> None:
        self.path, self.shape = path, shape
        self.log = path / "log"
        self.url = f"sqlite:///{path}/runs.db"
        self.kills = 0

    def query(self, sql: str, *values: object) -> list:
        connection = sqlite3.connect(self.path / "runs.db")
        try:
            return connection.execute(sql, values).fetchall()
        finally:
            connection.close()

    def ids(self) -> list[str]:
        return [i for (i,) in self.query("SELECT id FROM run ORDER BY task_id")]

    def start(self, ids: list[str]) -> subprocess.Popen:
        command = [sys.executable, str(CHILD), self.url, str(self.log), self.shape, *ids]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def lines(self) -> list[str]:
        return self.log.read_text().splitlines() if self.log.exists() else []

    def unfinished(self) -> list[str]:
        if not (self.path / "runs.db").exists():
            return []
        try:
            return [i for (i,) in self.query("SELECT id FROM run WHERE status <> 'done'")]
        except sqlite3.OperationalError:
            return []

    def ended(self) -> bool:
        """Whether the runs were stored and all are done."""
        try:
            return (self.path / "runs.db").exists() and bool(self.ids())
        except sqlite3.OperationalError:
            return False

    def kill_after(self, requests: int) -> bool:
        """Start or go on, and kill once so many more requests were sent; False if it ended before that."""
        before = len(self.lines())
        left = self.unfinished()
        if not left and self.ended():
            return False
        child = self.start(left)
        deadline = time.monotonic() + 60
        while child.poll() is None and len(self.lines()) - before < requests and time.monotonic() < deadline:
            time.sleep(0.002)
        if child.poll() is not None:
            assert child.returncode == 0, child.stdout.read()
            child.stdout.close()
            return False
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
        child.stdout.close()
        self.kills += 1
        return True

    def end(self) -> None:
        while left := self.unfinished():
            child = self.start(left)
            out, _ = child.communicate(timeout=120)
            assert child.returncode == 0, out


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """For each shape a batch that nobody kills."""
    made = {}
    for shape in ("plain", "eager"):
        trial = Trial(tmp_path_factory.mktemp(shape), shape)
        out, _ = (child := trial.start([])).communicate(timeout=120)
        assert child.returncode == 0, out
        made[shape] = trial
    return made


def tree(trial: Trial) -> list:
    """What must be the same whoever was killed: candidates, verdicts, choices and answers, by task and position."""
    run = "JOIN run r ON r.id = x.run_id"
    return [
        trial.query(f"SELECT r.task_id, x.position, x.kind, x.preview, x.depth FROM candidate x {run} ORDER BY 1, 2"),
        trial.query(f"SELECT r.task_id, x.position, x.outcome, x.score FROM verdict x {run} ORDER BY 1, 2"),
        trial.query(f"SELECT r.task_id, x.position, x.selected, x.reason FROM decision x {run} ORDER BY 1, 2"),
        trial.query(f"SELECT r.task_id, x.position, x.state, x.preview FROM call x {run} WHERE x.kind <> 'dice' ORDER BY 1, 2"),
    ]


def answers(trial: Trial) -> list:
    return trial.query("SELECT task_id, answer, outcome FROM run ORDER BY task_id")


def check(trial: Trial, undisturbed: Trial) -> None:
    check_log(trial, trial.lines())
    for run_id in trial.ids():
        check_facts(trial, run_id)
    assert trial.query("PRAGMA foreign_key_check") == [], "I7"
    assert trial.query("PRAGMA integrity_check") == [("ok",)], "I7"
    with closing(Store.open_reader(trial.url)) as reader:
        for (sha,) in trial.query("SELECT sha FROM blob"):
            reader.text(sha)
    assert trial.query("SELECT DISTINCT status FROM run") == [("done",)], "I9"
    # A call that was in flight at a kill, and that the policy cancels on resume before it is sent again, has no end.
    in_doubt = trial.query("SELECT count(*) FROM call WHERE state = 'intent'")[0][0]
    assert in_doubt <= (64 * trial.kills if trial.shape == "eager" else 0)
    if trial.shape == "plain":
        assert tree(trial) == tree(undisturbed), "I4: candidates, verdicts, choices as undisturbed"
        assert answers(trial) == answers(undisturbed), "I4: same answers"


def check_log(trial: Trial, lines: list[str]) -> None:
    seeds = {}
    for run_id, seed in trial.query("SELECT id, seed FROM run"):
        for (position,) in trial.query("SELECT position FROM call WHERE run_id = ?", run_id):
            seeds[run_id, position] = str(derived_seed(seed, position))
    acked: Counter = Counter()
    for line in lines:
        match line.split():
            case ["ack", run_id, "Outcome", position] if (run_id, position) in seeds:
                acked[seeds[run_id, position]] += 1
            case ["sent", seed]:
                assert not acked[seed], f"I1: a finished call was sent again: {seed}"
    stored = {(r, p) for r, p in trial.query("SELECT run_id, position FROM call WHERE state <> 'intent'")}
    verdicts = Counter(trial.query("SELECT run_id, position FROM verdict"))
    for line in lines:
        match line.split():
            case ["ack", run_id, "Outcome", position]:
                assert (run_id, position) in stored, f"I2: an acknowledged result is lost: {position}"
            case ["ack", run_id, "Judged", position]:
                assert verdicts[run_id, position] == 1, f"I2: an acknowledged verdict is lost or double: {position}"
    sent = sum(1 for line in lines if line.startswith("sent "))
    asked = trial.query("SELECT count(*) FROM call WHERE kind = 'generate' AND state <> 'refused'")[0][0]
    assert asked <= sent <= asked + 64 * trial.kills, "I3: what was sent is what is recorded plus what was in flight"


def check_facts(trial: Trial, run_id: str) -> None:
    spent = trial.query("SELECT sum(calls), sum(output_tokens) FROM budget_entry WHERE run_id = ? AND kind = 'settle'", run_id)
    ended = "kind = 'generate' AND state IN ('ok', 'error', 'cancelled')"
    used = trial.query(f"SELECT count(*), sum(completion_tokens) FROM call WHERE run_id = ? AND {ended}", run_id)
    assert spent == used, "I5: the budget's entries are what the calls used"
    numbers = [n for t in TABLES for (n,) in trial.query(f"SELECT seq FROM {t} WHERE run_id = ?", run_id)]
    for table in ("step", "call"):
        ends = f"SELECT ended_seq FROM {table} WHERE run_id = ? AND ended_seq IS NOT NULL"
        numbers += [n for (n,) in trial.query(ends, run_id)]
    assert sorted(numbers) == list(range(1, len(numbers) + 1)), "I6: the facts of a run are numbered without gaps"


@pytest.mark.parametrize("number", range(int(os.environ.get("BURNISH_KILLS", "4"))))
@pytest.mark.parametrize("shape", ["plain", "eager"])
def test_a_killed_batch_resumes_as_if_nothing_had_happened(tmp_path, undisturbed, shape, number):
    seed = int(os.environ.get("BURNISH_KILL_SEED", "0")) * 1000 + number
    rng = random.Random(f"{shape}{seed}")
    trial = Trial(tmp_path, shape)
    for _ in range(rng.randint(1, 3)):
        if not trial.kill_after(rng.randint(1, 260)):
            break
    trial.end()
    check(trial, undisturbed[shape])


def test_two_processes_never_work_on_one_run(tmp_path, undisturbed):
    trial = Trial(tmp_path, "plain")
    trial.kill_after(30)
    left = trial.unfinished()
    assert left
    children = [trial.start(left) for _ in range(2)]
    outs = [c.communicate(timeout=120)[0] for c in children]
    codes = sorted(c.returncode for c in children)
    assert codes[0] == 0, outs
    # Unless the first was through before the second began, the second is told off.
    assert codes[1] == 0 or any("Fenced" in o for o in outs), outs
    trial.end()
    check(trial, undisturbed["plain"])
