"""The program that the fault tests kill, at named points or at random: one server, a fork of it for each trial.

    python fault_child.py

It loads what costs time once, then reads one trial a line (JSON: `url`, `log`, `work`, `ids`, `engine`, `point`, `hit`, `delay`,
`synchronous`) and answers with the exit status of the process that carried it out. LOG is written as by `kill_child.py`.
"""

import asyncio
import importlib
import json
import os
import random
import signal
import sys
import tempfile
import threading
import time
import traceback
from contextlib import suppress

from burnish import ScriptedEngine, Session
from burnish.core.ids import derived_seed
from burnish.core.records import Decided, Intent, Outcome, Told
from burnish.engine.server import ServerEngine
from burnish.traces import commit, migrate, prune, writer
from burnish.traces.journal import RunJournal
from burnish.traces.store import Store
from tests.fault_works import LIVE, WORKS, build, reply, tasks

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


def logged(kind):
    """A kind of engine that logs each request which reaches it."""

    class Logged(kind):
        async def generate(self, prompt, sampling, *, watch=None, stop=None):
            log(f"sent {sampling.seed}")
            try:
                return await super().generate(prompt, sampling, watch=watch, stop=stop)
            finally:
                here("after_response")

    return Logged


def engine_of(trial):
    """A server, if the trial names one."""
    return logged(ServerEngine)(trial["engine"]) if trial["engine"] else logged(ScriptedEngine)(reply, latency=latency)


def latency(call):
    return random.Random(derived_seed(call.seed or 0, os.getpid())).uniform(0, 0.01)


async def carry_out(trial):
    store = await Store.open(trial["url"], synchronous=trial["synchronous"])
    work = (WORKS | LIVE)[trial["work"]]
    graph = build(work, log)
    async with Session(engine_of(trial), store=store, concurrency=4, calls=64) as session:
        if trial["ids"]:
            await asyncio.gather(*(session.resume(i, graph) for i in trial["ids"]))
        else:
            async for result in session.batch(graph, tasks(work), seed=7, budget={"calls": 1000, "output_tokens": 200_000}):
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


def warm_up():
    """Carry out everything once, so that a fork has loaded what it needs."""
    global log_fd
    log_fd = os.open(os.devnull, os.O_WRONLY)
    with tempfile.TemporaryDirectory() as folder:
        for work in WORKS:
            url = f"sqlite:///{folder}/runs.db"
            asyncio.run(carry_out({"url": url, "work": work, "ids": [], "engine": "", "synchronous": "normal"}))
    with suppress(ImportError):
        importlib.import_module("psycopg")


def serve():
    warm_up()
    patch_journal()
    patch_storage()
    for line in sys.stdin:
        if (child := os.fork()) == 0:
            run(json.loads(line))
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    serve()
