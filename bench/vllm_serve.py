"""A real `vllm serve` on loopback for as long as it is needed, with the settings that the engine `vllm` has on this machine."""

from __future__ import annotations

import os
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from ..core.errors import EngineUnavailable
from ..engine.guarded import GuardedProcess
from ..engine.models import DEFAULT_MODEL, ensure
from ..engine.serve_command import vllm_command

START_S = 300.0
NAME = "served"
"""What the server calls the model."""


@contextmanager
def vllm_serve(log: Path, *, model: str = DEFAULT_MODEL, max_model_len: int = 1024, max_num_seqs: int = 64) -> Generator[str]:
    """The base URL of a server that is ready. It writes to `log`; all its processes end with the block, or with this process.

    Raises:
        EngineUnavailable: it does not start.
    """
    port = _free_port()
    args = {"max_model_len": str(max_model_len), "max_num_seqs": str(max_num_seqs)}
    command, env = vllm_command(str(ensure(model)), name=NAME, port=port, args=args)
    server = GuardedProcess(command, log=log, environment={**env, **os.environ})
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
