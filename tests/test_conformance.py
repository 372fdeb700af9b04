"""Every engine of burnish passes the suite that is published for others, or says what it is out of."""

from __future__ import annotations

import importlib.util
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from burnish.core.completion import Completion, Watch
from burnish.core.engine import Engine
from burnish.core.prompt import Prompt
from burnish.core.sampling import Sampling
from burnish.core.stop import Stop
from burnish.engine import up, up_state
from burnish.engine.background import KeptEngine
from burnish.engine.layer import Layer
from burnish.engine.limit import Limited
from burnish.engine.lite import LiteLLMEngine
from burnish.engine.recorded import RecordedEngine, pool_key
from burnish.engine.retry import Retrying
from burnish.engine.scripted import CAPABILITIES, Call, Reply, ScriptedEngine
from burnish.engine.server import ServerEngine
from burnish.engine.vllm import VLLMEngine
from burnish.testing import EngineConformance
from tests.server_kit import MODEL, Chat, FakeServer, serving

NUMBERS = ("One", " two", " three", " four", " five", " six", " seven", " eight", " nine", " ten")
HOLDS_NOTHING = {
    "test_it_is_of_no_use_unless_started": "it holds nothing that must be started",
    "test_it_is_of_no_use_once_closed": "it holds nothing that is closed",
}


def reply(call: Call) -> Reply:
    """Counts, or satisfies what is asked for; in another order for another seed."""
    sampling = call.sampling
    if sampling.json_schema:
        return Reply('{"burnish": true}')
    if sampling.regex:
        return Reply("burnish 42")
    words = list(NUMBERS)
    if sampling.temperature:
        call.random.shuffle(words)
    return Reply(call.rest("".join(words).strip()))


def scripted(**options: Any) -> ScriptedEngine:
    able = replace(CAPABILITIES, json_schema=True, regex=True)
    return ScriptedEngine(reply, capabilities=able, rewards=lambda *_: (0.5,), **options)


class TestScripted(EngineConformance):
    exempt = HOLDS_NOTHING

    @pytest.fixture
    def make_engine(self) -> Callable[[], Engine]:
        return scripted


class TestScriptedWithLatency(EngineConformance):
    exempt = HOLDS_NOTHING

    @pytest.fixture
    def make_engine(self) -> Callable[[], Engine]:
        return lambda: scripted(latency=0.01, context_tokens=512)


class TestLayers(EngineConformance):
    exempt = HOLDS_NOTHING

    @pytest.fixture
    def make_engine(self) -> Callable[[], Engine]:
        return lambda: Limited(Retrying(scripted()), 4)


class Drawing(Layer):
    """Draws what the recorded engine inside is about to be asked for."""

    def __init__(self) -> None:
        self.source, self.pool = scripted(), dict[str, Sequence[Completion]]()
        super().__init__(RecordedEngine(self.pool, info=self.source.info))

    async def generate(
        self, prompt: Prompt, sampling: Sampling, *, watch: Watch | None = None, stop: Stop | None = None
    ) -> Completion:
        key = pool_key(prompt, sampling)
        if key not in self.pool and not set(sampling.needs) - set(self.source.info.capabilities.names()):
            self.pool[key] = [await self.source.generate(prompt, sampling.seeded(n)) for n in range(20)]
        return await super().generate(prompt, sampling, watch=watch, stop=stop)


class TestRecorded(EngineConformance):
    exempt = HOLDS_NOTHING

    @pytest.fixture
    def make_engine(self) -> Callable[[], Engine]:
        return Drawing


@pytest_asyncio.fixture
async def server() -> AsyncIterator[FakeServer]:
    async with serving(Chat(words=NUMBERS, context=512)) as started:
        yield started


class TestServer(EngineConformance):
    @pytest.fixture
    def make_engine(self, server: FakeServer) -> Callable[[], Engine]:
        return lambda: ServerEngine(server.url)


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads /proc")
class TestBackground(EngineConformance):
    @pytest.fixture
    def make_engine(self, server: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], Engine]]:
        monkeypatch.setenv("BURNISH_HOME", str(tmp_path))
        keeper = up_state.take(MODEL)  # The test keeps it itself.
        assert keeper is not None
        up_state.folder(MODEL).mkdir()
        up_state.write(up_state.BackgroundEngine(name=MODEL, model="a/model", port=server.port, ready=True))
        up_state.write_private(up_state.folder(MODEL) / "key", "none-of-your-business")
        monkeypatch.setattr(up, "condition", lambda name: "ready")  # It would ask a server of this thread, and wait for it.
        with keeper:
            yield KeptEngine


@pytest.mark.skipif(importlib.util.find_spec("litellm") is None, reason="litellm is not installed")
@pytest.mark.filterwarnings("ignore::UserWarning:pydantic", "ignore::DeprecationWarning:litellm")
class TestLiteLLM(EngineConformance):
    @pytest.fixture
    def make_engine(self, server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Engine]:
        monkeypatch.setenv("OPENAI_API_KEY", "none-of-your-business")
        prices: dict[str, Any] = {"input_price": 1.0, "output_price": 2.0}
        return lambda: LiteLLMEngine("openai/tiny", api_base=server.url, json_schema=True, **prices)


@pytest.mark.vllm
@pytest.mark.asyncio(loop_scope="session")
class TestVLLM(EngineConformance):
    @pytest.fixture
    def engine(self, vllm_engine: VLLMEngine) -> Engine:
        return vllm_engine
