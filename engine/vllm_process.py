"""The surroundings of vLLM's processes: their folder, their guardian, their environment, their log file.

All of it exists before the first process starts and is gone after the last one ended, the log file excepted.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import weakref
from collections.abc import Generator
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path
from typing import IO, Any

from ..core.errors import EngineUnavailable
from . import guardian
from .models import home
from .vllm_child import VARIABLE, belonging, children_start_here

LOGS_KEPT = 10


class Surroundings:
    """Folder, guardian and environment of one engine's processes."""

    def __init__(self, log_file: Path | None = None) -> None:
        self.log_file = log_file or new_log_file()
        """Where vLLM's processes log."""
        self.folder = Path(tempfile.mkdtemp(prefix="burnish-vllm-"))
        self.pids = self.folder / "pids"
        self.pids.mkdir()
        self._logging = self.folder / "logging.json"
        self._logging.write_text(json.dumps(_logging_config(self.log_file)))
        self._guardian = start_guardian(self.folder)
        self._shared: set[str] = set()

    def check_guardian(self) -> None:
        """Start the guardian again if somebody killed it."""
        if self._guardian.poll() is not None:
            self._close_pipe()
            self._guardian = start_guardian(self.folder)

    @contextlib.contextmanager
    def enter(self, *, offline: bool, kv_cache_gib: int, child_environment: dict[str, str]) -> Generator[None]:
        """Let vLLM be imported and its processes be started by this thread: environment, logging, first steps."""
        wanted = {
            "VLLM_WORKER_MULTIPROC_METHOD": "spawn",
            "VLLM_NO_USAGE_STATS": "1",
            "VLLM_CONFIGURE_LOGGING": "1",
            "VLLM_LOGGING_CONFIG_PATH": str(self._logging),
            VARIABLE: belonging(self.log_file, self.pids, child_environment),
        }
        if offline:
            wanted |= {"HF_HUB_OFFLINE": "1"}
        if "VLLM_CPU_KVCACHE_SPACE" not in os.environ:
            wanted |= {"VLLM_CPU_KVCACHE_SPACE": str(kv_cache_gib)}
        before = {name: os.environ.get(name) for name in wanted}
        os.environ.update(wanted)
        _log_to(self._logging)
        try:
            with children_start_here():
                yield
        finally:
            for name, value in before.items():
                if value is None:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = value

    def end_processes(self, grace: float = guardian.TERM_SECONDS) -> None:
        """End what is left of the engine's processes, and free the shared memory that they left."""
        for name in self._shared | guardian.end_processes(self.pids, grace):
            with contextlib.suppress(OSError):
                memory = SharedMemory(name)
                memory.close()
                memory.unlink()
        self._shared.clear()

    def note_shared_memory(self) -> None:
        """Remember the shared memory of the processes that run: one that is killed cannot free its own."""
        for pid in guardian.enrolled(self.pids):
            self._shared |= guardian.shared_memory(pid)

    def close(self) -> None:
        """End what is left, the guardian included."""
        self._close_pipe()
        try:
            self._guardian.wait(guardian.TERM_SECONDS * 4)
        except subprocess.TimeoutExpired:
            self._guardian.kill()
            self._guardian.wait()
        guardian.sweep(self.pids)  # the guardian's own work, unless it was killed
        shutil.rmtree(self.folder, ignore_errors=True)

    def last_error(self) -> str:
        """The last line of the log that tells of an error; empty if none does."""
        with contextlib.suppress(OSError):
            lines = self.log_file.read_text(errors="replace")[-200_000:].splitlines()
            for line in reversed(lines):
                if "Error: " in line and "Engine core initialization failed" not in line:
                    return line[line.rindex(" ERROR ") + 7 :].strip() if " ERROR " in line else line.strip()
        return ""

    def _close_pipe(self) -> None:
        with contextlib.suppress(OSError):
            assert self._guardian.stdin is not None
            self._guardian.stdin.close()


def new_log_file() -> Path:
    """A fresh log file under burnish's folder; the oldest ones are removed."""
    folder = home() / "logs"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as e:
        raise EngineUnavailable(f"cannot write logs below {home()}: {e.strerror}", hint="set BURNISH_HOME") from None
    for old in sorted(folder.glob("vllm-*.log"))[: -LOGS_KEPT + 1]:
        old.unlink(missing_ok=True)
    return folder / f"vllm-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.log"


def _logging_config(log: Path) -> dict[str, Any]:
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"plain": {"format": "%(asctime)s %(processName)s %(levelname)s %(name)s: %(message)s"}},
        "handlers": {"file": {"class": "logging.FileHandler", "filename": str(log), "formatter": "plain", "delay": True}},
        "loggers": {"vllm": {"handlers": ["file"], "level": "INFO", "propagate": False}},
    }


def _log_to(config: Path) -> None:
    """Let vLLM's log lines of this process go to the file from the first import on; vLLM itself sets it up later."""
    from logging.config import dictConfig

    dictConfig(json.loads(config.read_text()))


def start_guardian(folder: Path) -> subprocess.Popen[bytes]:
    """A guardian of the processes enrolled below a folder; it acts once its standard input is closed."""
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", guardian.__file__, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        cwd="/",
    )
    assert process.stdin is not None
    _OPEN_PIPES.add(process.stdin)
    return process


def _close_in_fork() -> None:
    # A forked child would keep the pipes open after our death.
    for pipe in _OPEN_PIPES:
        pipe.close()


_OPEN_PIPES: weakref.WeakSet[IO[bytes]] = weakref.WeakSet()
os.register_at_fork(after_in_child=_close_in_fork)
