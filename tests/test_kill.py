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
from pathlib import Path

import pytest

from tests.kill_kit import check

CHILD = Path(__file__).with_name("kill_child.py")


class Trial:
    """One batch, its store and its log."""

    def __init__(self, path: Path, shape: str) -> None:
        self.path, self.shape = path, shape
        self.cancels = shape == "eager"
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
