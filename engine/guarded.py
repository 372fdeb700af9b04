"""A program that is not burnish's, with all its processes, which ends when burnish ends, however that ends.

The program has a session of its own and is enrolled with it before its first instruction, so that a guardian finds all
that it starts, even what outlives its parent (`guardian.py`).
"""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from . import guardian
from .vllm_process import start_guardian

END_S = 15.0


class GuardedProcess:
    """A running program. Close it, or let burnish die."""

    def __init__(self, command: Sequence[str], *, log: Path, environment: Mapping[str, str], grace: float = END_S) -> None:
        """Start a program that writes to `log` and has this environment. It gets `grace` seconds to end when it is asked to."""
        self._grace = grace
        self._folder = Path(tempfile.mkdtemp(prefix="burnish-guarded-"))
        self._pids = self._folder / "pids"
        self._pids.mkdir()
        self._guardian = start_guardian(self._folder)
        launcher = [sys.executable, "-I", "-S", guardian.__file__, guardian.BECOME, str(self._pids), *command]
        try:
            with log.open("ab") as out:
                self._process = subprocess.Popen(
                    launcher, stdout=out, stderr=out, stdin=subprocess.DEVNULL, env=dict(environment), start_new_session=True
                )
        except BaseException:
            self._end_guardian()
            raise

    @property
    def pid(self) -> int:
        """Its process id, which is its session's as well."""
        return self._process.pid

    def poll(self) -> int | None:
        """Its exit status; None while it runs."""
        return self._process.poll()

    def close(self) -> None:
        """End it with all its processes. Called again it does nothing."""
        while self._process.poll() is None:  # it may only just be about to enrol
            guardian.end_processes(self._pids, self._grace)
            time.sleep(0.05)
        guardian.end_processes(self._pids, self._grace)
        self._end_guardian()

    def _end_guardian(self) -> None:
        assert self._guardian.stdin is not None
        with contextlib.suppress(OSError):
            self._guardian.stdin.close()
        try:
            self._guardian.wait(guardian.TERM_SECONDS * 4)
        except subprocess.TimeoutExpired:
            self._guardian.kill()
            self._guardian.wait()
        shutil.rmtree(self._folder, ignore_errors=True)
