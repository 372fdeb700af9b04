"""The core of real vLLM is killed in the midst of a batch. Kills of burnish are in test_server_vllm and test_vllm_run."""

from __future__ import annotations

import os
import signal

import psutil
import pytest

from burnish import Session
from burnish.engine.vllm import VLLMEngine
from burnish.traces.audit import audit
from tests.fault_works import LIVE, build, tasks
from tests.helpers import rows

pytestmark = [pytest.mark.vllm, pytest.mark.asyncio(loop_scope="session")]
BUDGET = {"calls": 200, "output_tokens": 20_000}


async def test_the_cores_death_in_a_batch_costs_no_result(vllm_engine: VLLMEngine, tmp_path):
    """A core that is started again serves what was in flight; the runs do not notice."""
    work, restarts, before = LIVE["live_best_of_n"], vllm_engine.restarts, []

    def results() -> list:
        return rows(tmp_path, "SELECT id, attempts, ended_seq, text_sha FROM call WHERE state = 'ok' ORDER BY id")

    async with Session(vllm_engine, store=f"sqlite:///{tmp_path}/runs.db", calls=2, keep_engines=True) as session:
        async for result in session.batch(build(work), [*tasks(work), "and one more?"], budget=BUDGET):
            assert result.error is None
            if not before:
                before = results()
                core = next(p for p in psutil.Process().children(recursive=True) if "EngineCore" in " ".join(p.cmdline()))
                os.kill(core.pid, signal.SIGKILL)
    assert vllm_engine.restarts == restarts + 1
    assert set(before) <= set(results())
    assert rows(tmp_path, "SELECT kind, state, attempts, count(*) FROM call GROUP BY 1, 2, 3") == [("generate", "ok", 1, 12)]
    assert rows(tmp_path, "SELECT status, count(*) FROM run GROUP BY 1") == [("done", 3)]
    assert audit(f"sqlite:///{tmp_path}/runs.db") == []
