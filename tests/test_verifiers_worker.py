"""The pool of killable workers: what it promises of clocks, crashes, and processes left behind."""

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import psutil
import pytest

from burnish.core.errors import ConfigError, VerifierFailed
from burnish.verifiers.worker import WorkerPool, shared_pool

FUNCTIONS = str(Path(__file__).with_name("verifier_functions.py"))


def at(name):
    return f"{FUNCTIONS}:{name}"


@pytest.fixture
def pool():
    pool = WorkerPool(2)
    yield pool
    pool.close()


async def failure(pool, name, *args, seconds=20.0, **rest):
    with pytest.raises(VerifierFailed) as caught:
        await pool.call(at(name), args, seconds=seconds, **rest)
    return caught.value


def gone(pid, within=10.0):
    """Whether a process ends within some seconds."""
    end = time.monotonic() + within
    while time.monotonic() < end:
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.02)
    return False


async def test_values_come_back_as_json(pool):
    value = {"a": [1, 2.5, None, True], "ü": "\ud800 \0"}
    assert await pool.call(at("echo"), [value, "x"], seconds=20) == [value, "x"]


async def test_a_big_argument_and_a_big_reply(pool):
    text = "x" * 5_000_000
    assert await pool.call(at("echo"), [text], seconds=20) == [text]


async def test_a_worker_is_kept_between_calls():
    pool = WorkerPool(1)
    assert len({await pool.call(at("pid"), (), seconds=20) for _ in range(5)}) == 1
    pool.close()


async def test_a_worker_that_must_be_killed_is_replaced():
    pool = WorkerPool(1)
    first = await pool.call(at("pid"), (), seconds=20)
    assert (await failure(pool, "sleeps", 600, seconds=0.2)).code == "timeout"
    assert gone(first)
    assert await pool.call(at("pid"), (), seconds=20) != first
    pool.close()


async def test_a_crash_is_one_calls_failure(pool):
    assert (await failure(pool, "die")).code == "verifier_crashed"
    assert await pool.call(at("echo"), [1], seconds=20) == [1]


async def test_a_worker_that_died_while_idle_is_replaced_unnoticed():
    pool = WorkerPool(1)
    pid = await pool.call(at("pid"), (), seconds=20)
    os.kill(pid, signal.SIGKILL)
    assert gone(pid)
    assert await pool.call(at("pid"), (), seconds=20) != pid
    pool.close()


async def test_what_json_cannot_carry_is_a_bad_return(pool):
    assert (await failure(pool, "odd")).code == "bad_return"


async def test_waiting_for_a_worker_does_not_count():
    pool = WorkerPool(1)
    calls = [pool.call(at("sleeps"), [0.2], seconds=1.0) for _ in range(6)]
    assert len(set(await asyncio.gather(*calls))) == 1
    pool.close()


async def test_no_more_workers_than_the_size(pool):
    pids = await asyncio.gather(*(pool.call(at("sleeps"), [0.02], seconds=20) for _ in range(20)))
    assert len(set(pids)) <= 2


async def test_cancelling_frees_the_worker():
    pool = WorkerPool(1)
    pid = await pool.call(at("pid"), (), seconds=20)
    call = asyncio.ensure_future(pool.call(at("sleeps"), [600], seconds=600))
    await asyncio.sleep(0.2)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert gone(pid)
    assert await pool.call(at("echo"), [1], seconds=20) == [1]
    pool.close()


async def test_a_cancelled_call_that_waits_never_runs():
    pool = WorkerPool(1)
    running = asyncio.ensure_future(pool.call(at("sleeps"), [0.3], seconds=20))
    waiting = asyncio.ensure_future(pool.call(at("die"), (), seconds=20))
    await asyncio.sleep(0.05)
    waiting.cancel()
    pid = await running
    assert await pool.call(at("pid"), (), seconds=20) == pid
    pool.close()


def test_any_event_loop_may_call(pool):
    async def call():
        return await pool.call(at("pid"), (), seconds=20)

    assert isinstance(asyncio.run(call()), int)
    assert isinstance(asyncio.run(call()), int)


async def test_a_closed_pool_refuses_and_leaves_nothing():
    pool = WorkerPool(1)
    pid = await pool.call(at("pid"), (), seconds=20)
    hanging = asyncio.ensure_future(pool.call(at("sleeps"), [600], seconds=600))
    waiting = asyncio.ensure_future(pool.call(at("sleeps"), [600], seconds=600))
    await asyncio.sleep(0.2)
    await asyncio.to_thread(pool.close)
    for call in (hanging, waiting):
        with pytest.raises(VerifierFailed):
            await call
    assert gone(pid)
    assert (await failure(pool, "pid")).code == "verifier_crashed"


async def test_memory_is_limited(pool):
    assert (await failure(pool, "eats_memory", None, None, memory_mb=100)).code == "memory_limit"
    assert await pool.call(at("echo"), [1], seconds=20) == [1]


async def test_timeout_ends_children_and_those_that_left_the_group(pool, tmp_path):
    mark = f"mark-{os.getpid()}"
    assert (await failure(pool, "leaves_children", None, mark, seconds=1.5)).code == "timeout"
    assert not [p for p in psutil.process_iter(["cmdline"]) if mark in (p.info["cmdline"] or [])]


def test_kill_9_of_the_program_leaves_no_process(tmp_path):
    script = tmp_path / "program.py"
    script.write_text(
        textwrap.dedent(f"""
        import asyncio, sys
        from burnish.verifiers.worker import shared_pool

        async def main():
            pid = await shared_pool().call({at("pid")!r}, (), seconds=20)
            print(pid, flush=True)
            await shared_pool().call({at("leaves_children")!r}, (None, sys.argv[1]), seconds=600)

        asyncio.run(main())
        """)
    )
    mark = f"mark9-{os.getpid()}"
    program = subprocess.Popen([sys.executable, str(script), mark], stdout=subprocess.PIPE, text=True)
    with program:
        worker = int(program.stdout.readline())
        supervisor = psutil.Process(worker).ppid()
        end = time.monotonic() + 20
        while time.monotonic() < end and not _marked(mark, program.pid):
            time.sleep(0.05)
        children = _marked(mark, program.pid)
        program.kill()
    assert len(children) == 2
    assert all(gone(pid) for pid in (worker, supervisor, *children))


def _marked(mark, but):
    found = []
    for process in psutil.process_iter(["cmdline"]):
        if process.pid != but and mark in (process.info["cmdline"] or []):
            found.append(process.pid)
    return found if len(found) == 2 else []


def test_an_unclosed_pool_does_not_hold_up_exit(tmp_path):
    script = tmp_path / "program.py"
    script.write_text(
        textwrap.dedent(f"""
        import asyncio
        from burnish.verifiers.worker import shared_pool

        async def main():
            print(await shared_pool().call({at("pid")!r}, (), seconds=20))
            asyncio.ensure_future(shared_pool().call({at("sleeps")!r}, [600], seconds=600))
            await asyncio.sleep(0.2)

        asyncio.run(main())
        """)
    )
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0
    assert done.stderr == ""
    assert gone(int(done.stdout))


async def test_a_worker_starts_no_workers(pool, monkeypatch):
    monkeypatch.setenv("BURNISH_WORKER", "1")
    with pytest.raises(ConfigError, match="cannot start workers"):
        await pool.call(at("pid"), (), seconds=20)


def test_the_shared_pool_is_one():
    assert shared_pool() is shared_pool()


def test_a_forked_child_gets_a_pool_of_its_own():
    code = f"""
import asyncio, os
from burnish.verifiers.worker import shared_pool

def call():
    async def inner():
        return await shared_pool().call({at("pid")!r}, (), seconds=20)
    return asyncio.run(inner())

def main():
    first = call()
    child = os.fork()
    if not child:
        worker = call()
        shared_pool().close()
        os._exit(0 if worker != first else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert call() == first

main()
"""
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
