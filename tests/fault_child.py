"""The program that the fault tests kill, at named points or at random: one server, a fork of it for each trial.

    python fault_child.py

It imports what costs time once, then reads one trial a line (JSON: `url`, `log`, `work`, `ids`, `point`, `hit`,
`delay`, `synchronous`) and answers with the exit status of the process that carried it out. LOG is written as by `kill_child.py`.
"""

import asyncio
import json
import os
import random
import signal
import sys
import threading
import time
import traceback

from burnish import GenerationFailed, ScriptedEngine, Session, Task
from burnish.core.ids import derived_seed
from burnish.core.records import Decided, Intent, Outcome, Told
from burnish.graphs.registry import build_graph
from burnish.traces import commit, migrate, prune, writer
from burnish.traces.journal import RunJournal
from burnish.traces.store import Store

NUMERIC = {"name": "numeric", "expected": 2}
WORKS = {
    "single": ("single", {"verifier": NUMERIC}, 3),
    "best_of_n": ("best_of_n", {"verifier": NUMERIC, "n": 6, "stop_at_pass": False}, 3),
    "majority": ("majority", {"n": 5, "extract": "last_number"}, 3),
    "draw": ("draw", {"n": 4}, 3),
    "worthwhile": ("worthwhile", {"verifier": NUMERIC, "n": 4, "types": [[1.0, 0.3]], "tpr": 1.0, "fpr": 0.1}, 2),
    "iad": ("iad", {"verifier": NUMERIC, "rounds": 3, "per_round": 2, "stop_at_pass": False}, 2),
    "self_refine": ("self_refine", {"verifier": NUMERIC, "rounds": 3}, 2),
    "sequential_revision": ("sequential_revision", {"verifier": NUMERIC, "rounds": 3, "stop_at_pass": False}, 2),
    "plan_mixture": ("plangen", {"algorithm": "mixture", "n": 2, "nodes": 6, "children": 2, "rounds": 3, "threshold": 95}, 1),
    "plan_tree": ("plangen", {"algorithm": "tree_of_thought", "nodes": 8, "children": 2, "depth": 3, "width": 1}, 1),
    "plan_rebase": ("plangen", {"algorithm": "rebase", "rebase_width": 3, "depth": 3}, 1),
}
"""Graph, settings and number of tasks, by name. Nothing in them depends on which of two calls lands first."""

log_fd = -1
point, left = "", 0
at_point = threading.Lock()


def log(line):
    os.write(log_fd, (line + "\n").encode())


def here(name):
    """Die, if this is the point and its time has come."""
    global left
    if name == point:
        with at_point:
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
                time.sleep(60)


def patch_journal():
    """Make the points of the runs' side tell of themselves, and log what is acknowledged."""
    written, queued, finished = RunJournal.write, RunJournal.queue, RunJournal.finish
    behind = {}

    async def write(self, *records):
        of = {type(r) for r in records}
        if Intent in of:
            here("before_intent")
        if Decided in of:
            here("before_decision")
        vouched = [*behind.pop(self.run_id, ()), *records]
        await written(self, *records)
        for r in vouched:
            log(f"ack {self.run_id} {type(r).__name__} {r.scope if isinstance(r, Told) else r.position}")
        if Intent in of:
            here("after_intent")
        here("after_ack")

    def queue(self, *records):
        if any(isinstance(r, Outcome) for r in records):
            here("before_result")
        queued(self, *records)
        behind.setdefault(self.run_id, []).extend(records)
        if any(isinstance(r, Outcome) for r in records):
            here("after_queued")

    async def finish(self, end, elapsed):
        here("before_end")
        await finished(self, end, elapsed)
        here("after_end")

    RunJournal.write, RunJournal.queue, RunJournal.finish = write, queue, finish


def patch_storage():
    """Make the points of the storage's side tell of themselves."""
    committed, worked, idled = commit.Committer.commit, commit.Committer._work, commit.Committer.idle
    settled, upgraded, swept = writer.Writer._settled, migrate._run_alembic, prune._sweep

    def before_commit(self, groups):
        here("before_commit")
        committed(self, groups)

    def inside_commit(self, *rest):
        here("inside_commit")
        return worked(self, *rest)

    def before_ack(self, groups):
        here("before_ack")
        settled(self, groups)

    def checkpoint(self):
        here("before_checkpoint")
        idled(self)
        here("after_checkpoint")

    def migration(connection):
        upgraded(connection)
        here("inside_migration")

    def sweep(run):
        here("before_sweep")
        found = swept(run)
        here("inside_sweep")
        return found

    commit.Committer.commit, commit.Committer._work, commit.Committer.idle = before_commit, inside_commit, checkpoint
    writer.Writer._settled, migrate._run_alembic, prune._sweep = before_ack, migration, sweep


ROLES = (
    ("You check plans, strictly", lambda rng: f"So it is.\nScore: {rng.choice((-20, 40, 90, 100))}"),
    ("expert at reading a problem", lambda rng: "- it is a number\n- it is even"),
    ("You choose the method", lambda rng: "best_of_n: 0.5\nrebase: 0.3\ntree_of_thought: 0.2"),
    ("contain the whole solution", lambda rng: rng.choice("01")),
)


def reply(call):
    rng = random.Random(call.seed)
    for mark, said in ROLES:
        if mark in call.text:
            return said(rng)
    if rng.random() < 0.05:
        return GenerationFailed("the script says no", code="scripted")
    return str(rng.randrange(4))


class Logged(ScriptedEngine):
    """Logs each request that reaches it."""

    async def generate(self, prompt, sampling, *, watch=None, stop=None):
        log(f"sent {sampling.seed}")
        try:
            return await super().generate(prompt, sampling, watch=watch, stop=stop)
        finally:
            here("after_response")


def latency(call):
    return random.Random(derived_seed(call.seed or 0, os.getpid())).uniform(0, 0.01)


async def carry_out(trial):
    store = await Store.open(trial["url"], synchronous=trial["synchronous"])
    name, settings, tasks = WORKS[trial["work"]]
    graph = build_graph(name, settings)
    async with Session(Logged(reply, latency=latency), store=store, concurrency=4, calls=64) as session:
        if trial["ids"]:
            await asyncio.gather(*(session.resume(i, graph) for i in trial["ids"]))
        else:
            made = [Task(id=f"t{i}", prompt=f"number {i}?", reference=2) for i in range(tasks)]
            async for result in session.batch(graph, made, seed=7, budget={"calls": 1000, "output_tokens": 200_000}):
                if result.error:
                    raise result.error
    await store.close()


def run(trial):
    """In the fork: one trial; never returns."""
    global log_fd, point, left
    log_fd = os.open(trial["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    point, left = trial["point"], trial["hit"]
    if trial["delay"]:
        threading.Timer(trial["delay"], lambda: os.kill(os.getpid(), signal.SIGKILL)).start()
    try:
        if trial["work"] == "prune":
            prune.prune(trial["url"], prune.Rule(keep_last=1, named=True))
        else:
            asyncio.run(carry_out(trial))
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def serve():
    for name, settings, _ in WORKS.values():
        build_graph(name, settings)  # Imports what it needs.
    patch_journal()
    patch_storage()
    for line in sys.stdin:
        if (child := os.fork()) == 0:
            run(json.loads(line))
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    serve()
