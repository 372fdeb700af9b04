"""A real `vllm serve` on loopback for as long as it is needed, with the settings that the engine `vllm` has on this machine."""

from __future__ import annotations

import os
import socket
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from ..core.errors import EngineUnavailable
from ..engine.guarded import GuardedProcess
from ..engine.install import installed
from ..engine.models import DEFAULT_MODEL, ensure
from ..engine.vllm_core import CPU_KV_CACHE_GIB

START_S = 300.0
NAME = "served"
"""What the server calls the model."""


@contextmanager
def vllm_serve(log: Path, *, model: str = DEFAULT_MODEL, max_model_len: int = 1024, max_num_seqs: int = 64) -> Generator[str]:
    """The base URL of a server that is ready. It writes to `log`; all its processes end with the block, or with this process.

    Raises:
        EngineUnavailable: it does not start.
    """
    cpu = all(one.device == "cpu" for one in installed())
    port = _free_port()
    # What `vllm serve` runs. The command itself fails on the CPU build, which it looks for under the name of the other one.
    command = [sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", str(ensure(model))]
    command += ["--host", "127.0.0.1", "--port", str(port), "--served-model-name", NAME]
    command += ["--max-model-len", str(max_model_len), "--max-num-seqs", str(max_num_seqs)]
    # Who leaves a setting open gets the protocol's default, not the model's.
    command += ["--enable-prefix-caching", "--enable-prompt-tokens-details", "--generation-config", "vllm"]
    env = {"VLLM_WORKER_MULTIPROC_METHOD": "spawn", "VLLM_NO_USAGE_STATS": "1", "HF_HUB_OFFLINE": "1", **os.environ}
    if cpu:
        # A prompt with a seed of its own that is prefilled in pieces kills the CPU build; blocks of 128 cache too little.
        command += ["--no-enable-chunked-prefill", "--max-num-batched-tokens", str(max_model_len), "--block-size", "32"]
        command += ["--enforce-eager"]
        env = {"VLLM_CPU_KVCACHE_SPACE": str(CPU_KV_CACHE_GIB), "TORCH_COMPILE_DISABLE": "1", **env}
    server = GuardedProcess(command, log=log, environment=env)
    try:
        _wait(server, port, log)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        server.close()


def _free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


def _wait(server: GuardedProcess, port: int, log: Path) -> None:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    until = time.monotonic() + START_S
    while time.monotonic() < until:
        if server.poll() is not None:
            break
        with suppress(urllib.error.URLError, OSError), opener.open(f"http://127.0.0.1:{port}/health", timeout=5):
            return
        time.sleep(0.3)
    raise EngineUnavailable("vllm serve does not start", hint=f"its log is {log}")
