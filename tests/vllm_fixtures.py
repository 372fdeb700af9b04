"""One real engine for all tests that need one; it takes half a minute to start."""

from __future__ import annotations

import importlib.util
from collections.abc import AsyncGenerator

import pytest
import pytest_asyncio

from burnish.engine.vllm import VLLMEngine


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def vllm_engine(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[VLLMEngine]:
    """The default model on vLLM, shared: tests that use it run in the session's event loop."""
    if importlib.util.find_spec("vllm") is None:
        pytest.skip("vLLM is not installed: burnish engine install")
    engine = VLLMEngine(max_model_len=1024, max_num_seqs=64, log_file=tmp_path_factory.mktemp("vllm") / "vllm.log")
    await engine.start()
    yield engine
    await engine.close()
