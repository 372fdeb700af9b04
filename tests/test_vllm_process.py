"""The engine's processes die, or burnish does: nothing is lost and nothing is left. On real vLLM."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from burnish.core.errors import BurnishError, EngineUnavailable, GenerationFailed
from burnish.core.prompt import Prompt
from burnish.core.sampling import Sampling
from burnish.engine import guardian
from burnish.engine.vllm import VLLMEngine

pytestmark = [pytest.mark.vllm, pytest.mark.asyncio(loop_scope="session")]

STORY = Prompt.of("Tell me a story about a fox and a river.")


async def test_calls_in_flight_survive_the_cores_death(vllm_engine: VLLMEngine) -> None:
    before = vllm_engine.restarts
    calls = [asyncio.create_task(vllm_engine.generate(STORY, Sampling(max_tokens=60, seed=i))) for i in range(12)]
    await asyncio.sleep(0.7)
    assert not any(call.done() for call in calls)
    core = next(p for p in psutil.Process().children(recursive=True) if "EngineCore" in " ".join(p.cmdline()))
    os.kill(core.pid, signal.SIGKILL)
    done = await asyncio.gather(*calls)
    assert all(c.tokens.completion > 0 and c.finish_reason in ("stop", "length") for c in done)
    assert vllm_engine.restarts == before + 1
    again = await vllm_engine.generate(STORY, Sampling(max_tokens=60, seed=3))
    assert again.text == done[3].text
    assert not psutil.pid_exists(core.pid)


async def test_the_call_that_kills_the_engine_fails_alone(tmp_path: Path) -> None:
    """On a CPU, a call with its own seed whose prompt is prefilled in pieces kills vLLM 0.32."""
    before = {p.pid for p in psutil.Process().children(recursive=True)}
    engine = VLLMEngine(
        max_model_len=512,
        max_num_batched_tokens=128,
        engine_args={"enable_chunked_prefill": True},
        log_file=tmp_path / "vllm.log",
    )
    await engine.start()
    try:
        if engine.info.settings["device"] != "cpu":
            pytest.skip("only the CPU engine has this fault")
        long = Prompt.of(" ".join(f"word{i}" for i in range(90)))
        other, guilty = await asyncio.gather(
            engine.generate(STORY, Sampling(max_tokens=60, seed=2)),
            engine.generate(long, Sampling(max_tokens=8, seed=1)),
            return_exceptions=True,
        )
        assert isinstance(guilty, GenerationFailed)
        assert guilty.code == "engine_crash"
        assert not isinstance(other, BaseException)
        assert other.tokens.completion > 0
        assert engine.restarts >= 1  # the one after the second crash may still be under way
    finally:
        children = psutil.Process().children(recursive=True)
        await engine.close()
    assert "CPU Generator does not use offset" in (tmp_path / "vllm.log").read_text()
    others = {p.pid for p in psutil.Process().children(recursive=True)}
    assert [p for p in children if p.pid not in before and p.pid in others] == []


SCRIPT = """
import asyncio, sys
from burnish.engine.vllm import VLLMEngine

async def main():
    engine = VLLMEngine(max_model_len=512, log_file=sys.argv[1])
    starting = asyncio.create_task(engine.start())
    while engine._core._surroundings is None:
        await asyncio.sleep(0.01)
    print(engine._core._surroundings.folder, engine._core._surroundings._guardian.pid, flush=True)
    await starting
    print("started", flush=True)
    await asyncio.sleep(600)

asyncio.run(main())  # without a guard: vLLM's processes must not run a user's script again
"""


async def test_burnishs_death_leaves_no_engine(tmp_path: Path) -> None:
    for number in (signal.SIGKILL, signal.SIGINT):
        (tmp_path / number.name).mkdir()
    await asyncio.gather(_die(tmp_path / "SIGKILL", signal.SIGKILL), _die(tmp_path / "SIGINT", signal.SIGINT))


async def _die(tmp_path: Path, number: signal.Signals) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    owner = await asyncio.create_subprocess_exec(
        sys.executable,
        str(script),
        str(tmp_path / "log"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    assert owner.stdout is not None
    assert owner.stderr is not None
    folder, watcher = (await owner.stdout.readline()).decode().split()
    pids: dict[int, int] = {}
    async with asyncio.timeout(120):
        while len(pids) < 2:  # the core and its worker, both still starting
            await asyncio.sleep(0.1)
            pids |= guardian.enrolled(Path(folder) / "pids")
    if number == signal.SIGINT:
        os.killpg(owner.pid, number)  # as a terminal does: everything in the foreground gets it
    else:
        os.kill(owner.pid, number)
    error = (await asyncio.wait_for(owner.stderr.read(), 60)).decode()
    await owner.wait()
    everyone = {**pids, int(watcher): guardian.start_time(int(watcher)) or 0}
    await asyncio.to_thread(_wait_until_gone, everyone)
    assert not os.path.exists(folder)
    assert "EngineCore" not in error  # the engine's own words go to the log


async def test_a_model_that_vllm_cannot_load(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    engine = VLLMEngine(str(tmp_path), log_file=tmp_path / "log")
    with pytest.raises(BurnishError):
        await engine.start()
    with pytest.raises(EngineUnavailable, match="not running"):
        await engine.generate(STORY, Sampling())


def _wait_until_gone(processes: dict[int, int]) -> None:
    deadline = time.monotonic() + 20
    while any(guardian.start_time(pid) == started for pid, started in processes.items()):
        assert time.monotonic() < deadline, "processes are left"
        time.sleep(0.05)
