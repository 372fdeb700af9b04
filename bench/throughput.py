"""Tokens per second of 16-candidate searches on vLLM, against vLLM without burnish.

The calls of the searches (prompts, seeds, limits) are noted and sent again: through a bare loop on the same `AsyncLLM`,
in turns with the searches, and through `LLM.generate` in a process of its own, before and after them. Everything is warm.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from ..core.completion import Completion, Watch
from ..core.engine import Engine
from ..core.errors import BurnishError, EngineUnavailable
from ..core.prompt import Prompt
from ..core.sampling import Sampling
from ..core.stop import Stop
from ..core.task import Task
from ..engine.layer import Layer
from ..engine.models import DEFAULT_MODEL, ensure
from ..engine.scripted import ScriptedEngine
from ..engine.vllm import VLLMEngine
from ..engine.vllm_core import CPU_KV_CACHE_GIB
from ..engine.vllm_options import Options, engine_args
from ..engine.vllm_tokens import Tokens
from ..session import Session
from ..stats import median
from .report import Measure, Section, say
from .workload import reply, search_graph

SAMPLES, SEARCHES, MAX_TOKENS = 16, 4, 64
REPETITIONS = 6
LOOP_BAR, GENERATE_BAR = 0.98, 0.95
SUBJECTS = ("a lighthouse", "a baker", "an old map", "a snowy village", "a clockmaker", "a lost dog", "a river", "a garden")
OPTIONS = Options(max_model_len=1024, max_num_seqs=64)


@dataclass(frozen=True)
class Sent:
    """One call, as vLLM gets it."""

    ids: list[int]
    max_tokens: int
    temperature: float
    top_p: float
    seed: int | None


@dataclass(frozen=True)
class Rate:
    """What one repetition generated."""

    tokens: int
    seconds: float

    @property
    def per_second(self) -> float:
        """Tokens per second."""
        return self.tokens / self.seconds


class Noting(Layer):
    """Passes calls on, and notes them."""

    def __init__(self, engine: Engine, render: Callable[[Prompt], list[int]]) -> None:
        super().__init__(engine)
        self.sent: list[Sent] = []
        self.tokens = 0
        self._render = render

    async def generate(
        self, prompt: Prompt, sampling: Sampling, *, watch: Watch | None = None, stop: Stop | None = None
    ) -> Completion:
        """One sample."""
        self.sent.append(Sent(self._render(prompt), sampling.max_tokens, sampling.temperature, sampling.top_p, sampling.seed))
        completion = await self.engine.generate(prompt, sampling, watch=watch, stop=stop)
        self.tokens += completion.tokens.completion
        return completion


def run(repetitions: int = REPETITIONS) -> Section:
    """Measure all three."""
    say(f"throughput: {SEARCHES} searches of {SAMPLES} candidates at once on vLLM, {repetitions} repetitions (some minutes)")
    sent = asyncio.run(_calls())
    half = repetitions // 2
    before = _generate(sent, half)
    ours, loop = asyncio.run(_alternate(sent, repetitions))
    after = _generate(sent, repetitions - half)
    generate = [rate.per_second for rate in (*before, *after)]
    middle = median([rate.per_second for rate in ours])
    ratios = [a.per_second / b.per_second for a, b in zip(ours, loop, strict=True)]
    return Section(
        name="throughput",
        measures=[
            Measure(name="tokens per second, searches", values=_rounded([r.per_second for r in ours]), unit="tok/s"),
            Measure(name="tokens per second, bare AsyncLLM loop", values=_rounded([r.per_second for r in loop]), unit="tok/s"),
            Measure(name="tokens per second, LLM.generate", values=_rounded(generate), unit="tok/s"),
            Measure(name="  searches against the bare loop", values=_rounded(ratios), bar=LOOP_BAR, least=True),
            Measure(
                name="  searches against LLM.generate",
                values=_rounded([middle / rate for rate in generate]),
                bar=GENERATE_BAR,
                least=True,
            ),
        ],
        details={
            "model": DEFAULT_MODEL,
            "searches": SEARCHES,
            "samples": SAMPLES,
            "max_tokens": MAX_TOKENS,
            "repetitions": [asdict(rate) for rate in (*ours, *loop)],
        },
    )


def tasks() -> list[Task]:
    """What the searches are about."""
    return [Task(prompt=f"Write a short story about {SUBJECTS[i % len(SUBJECTS)]}.", id=f"story-{i}") for i in range(SEARCHES)]


async def _calls() -> list[Sent]:
    """The calls that the searches make: prompts and seeds depend on their positions only, whatever engine answers."""
    noting = Noting(ScriptedEngine(reply), Tokens(str(ensure(DEFAULT_MODEL))).ids)
    async with _session(noting) as session:
        await _searches(session, noting)
    return noting.sent


async def _alternate(sent: Sequence[Sent], repetitions: int) -> tuple[list[Rate], list[Rate]]:
    """Searches and bare loop in turns, on one engine; the first turn warms both."""
    engine = VLLMEngine(max_model_len=OPTIONS.max_model_len, max_num_seqs=OPTIONS.max_num_seqs)
    noting = Noting(engine, lambda _: [])
    ours: list[Rate] = []
    loop: list[Rate] = []
    async with _session(noting) as session:
        for _ in range(repetitions + 1):
            ours.append(await _searches(session, noting))
            if {call.seed for call in noting.sent} != {call.seed for call in sent}:
                raise BurnishError("the searches made other calls than before", code="bench")
            loop.append(await _bare(engine, sent))
    return ours[1:], loop[1:]


@asynccontextmanager
async def _session(engine: Engine) -> AsyncGenerator[Session]:
    with tempfile.TemporaryDirectory(prefix="burnish-bench-") as folder:
        async with Session(engine, store=f"sqlite:///{Path(folder) / 'burnish.db'}", concurrency=SEARCHES) as session:
            yield session


async def _searches(session: Session, noting: Noting) -> Rate:
    """All searches at once, traces on."""
    noting.sent, noting.tokens = [], 0
    graph = search_graph(SAMPLES, max_tokens=MAX_TOKENS)
    began = time.perf_counter()
    async for result in session.batch(graph, tasks()):
        if result.error:
            raise result.error
    return Rate(noting.tokens, time.perf_counter() - began)


async def _bare(engine: VLLMEngine, sent: Sequence[Sent]) -> Rate:
    """The same calls, all at once, on the engine's own `AsyncLLM`."""

    async def borrow(llm: Any) -> Any:
        return llm

    llm = await engine._supervisor.call(borrow)  # pyright: ignore[reportPrivateUsage]

    async def one(call: Sent) -> int:
        tokens = 0
        prompt = {"type": "token", "prompt_token_ids": list(call.ids)}
        async for output in llm.generate(prompt, sampling_params(call), uuid.uuid4().hex):
            tokens = len(output.outputs[0].token_ids)
        return tokens

    began = time.perf_counter()
    counts = await asyncio.gather(*(one(call) for call in sent))
    return Rate(sum(counts), time.perf_counter() - began)


def sampling_params(call: Sent) -> Any:
    """VLLM's own form of a call's settings."""
    vllm = import_module("vllm.sampling_params")
    return vllm.SamplingParams(
        max_tokens=call.max_tokens,
        temperature=call.temperature,
        top_p=call.top_p,
        seed=call.seed,
        output_kind=vllm.RequestOutputKind.FINAL_ONLY,
    )


def _generate(sent: Sequence[Sent], repetitions: int) -> list[Rate]:
    """The same calls through `LLM.generate`, in a process of its own.

    Raises:
        EngineUnavailable: vLLM does not start there.
    """
    cpu = import_module("vllm.platforms").current_platform.is_cpu()
    args = engine_args(str(ensure(DEFAULT_MODEL)), OPTIONS, cpu=cpu, reasoning=False)
    work = {"args": args, "calls": [asdict(call) for call in sent], "repetitions": repetitions}
    env = {"VLLM_CPU_KVCACHE_SPACE": str(CPU_KV_CACHE_GIB), "VLLM_WORKER_MULTIPROC_METHOD": "spawn", "VLLM_NO_USAGE_STATS": "1"}
    if args.get("enforce_eager"):
        env["TORCH_COMPILE_DISABLE"] = "1"
    done = subprocess.run(
        [sys.executable, "-m", "burnish.bench.llm_generate"],
        input=json.dumps(work),
        capture_output=True,
        text=True,
        check=False,
        env={**env, **os.environ},
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith("[")]
    if not lines:
        raise EngineUnavailable(f"LLM.generate failed: {done.stderr.strip()[-300:]}", hint="burnish doctor")
    return [Rate(tokens, seconds) for tokens, seconds in json.loads(lines[-1])]


def _rounded(values: Sequence[float]) -> list[float]:
    return [round(value, 4) for value in values]
