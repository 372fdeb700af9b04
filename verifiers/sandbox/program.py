"""One run of code against tests, from burnish's side. It blocks, and is called in a worker process that can be killed."""

from __future__ import annotations

import contextlib
import os
import secrets
import select
import shutil
import subprocess
import tempfile
import time
from typing import Any

from . import layers, wire
from .isolation import Layers
from .limits import Limits

START_SECONDS = 30.0
"""Longest time until the code starts."""
_GRACE_SECONDS = 1.0
_VERDICT_BYTES = 2**20
_EXIT_SECONDS = 10


def run(
    code: str, tests: str, entry_point: str | None, prelude: str, limits: dict[str, Any], walls: dict[str, Any]
) -> dict[str, Any]:
    """What came of the tests: `outcome`, `reason`, `error`, `test`, `call`, `calls`, `output`.

    With `unable` in place of an outcome the sandbox itself failed.
    """
    bounds, confined = Limits(**limits), Layers(**walls)
    private = {"tests": tests, "entry_point": entry_point, "nonce": secrets.token_hex(16)}
    scratch = ""
    try:
        if not confined.namespaces:
            scratch = os.path.realpath(tempfile.mkdtemp(prefix="burnish-"))
        public = {"layers": walls, "limits": limits, "scratch": scratch, "prelude": prelude, "code": code}
        with _Launcher() as launcher:
            return launcher.run(public, private, bounds)
    except OSError as e:
        return {"unable": str(e)}
    finally:
        if scratch:
            shutil.rmtree(scratch, ignore_errors=True)


class _Launcher:
    """The launcher's process, with the pipes to and from it."""

    def __enter__(self) -> _Launcher:
        self._verdicts, theirs = os.pipe()
        try:
            self._process = subprocess.Popen(
                layers.command("launcher", str(theirs)),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                pass_fds=[theirs],
                env=layers.ENVIRONMENT,
                cwd="/",
                start_new_session=True,
                bufsize=0,
            )
        except OSError:
            os.close(self._verdicts)
            raise
        finally:
            os.close(theirs)
        self._output = bytearray()
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.close()
        os.close(self._verdicts)
        self._process.stdout.close()
        try:
            self._process.wait(_EXIT_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def run(self, public: dict[str, Any], private: dict[str, Any], bounds: Limits) -> dict[str, Any]:
        """Send the job and wait for what comes of it."""
        assert self._process.stdin
        stdin = self._process.stdin.fileno()
        with contextlib.suppress(wire.Closed):  # Why the launcher ended is read below.
            wire.write(stdin, public)
            wire.write(stdin, private)
        deadline, ready = time.monotonic() + START_SECONDS, False
        while True:
            found = self._next(deadline, bounds)
            if found is None:
                late = {"outcome": "fail", "reason": "timeout", "error": f"no result within {bounds.seconds:g} s"}
                found = late if ready else {"unable": f"nothing started within {START_SECONDS:g} s"}
            elif found.get("ready"):
                deadline, ready = time.monotonic() + bounds.seconds + _GRACE_SECONDS, True
                continue
            elif "outcome" in found and found.get("nonce", private["nonce"]) != private["nonce"]:
                continue
            output = self._output[: bounds.output_kb * 1024].decode(errors="replace")
            return {**found, "output": output}

    def _next(self, deadline: float, bounds: Limits) -> dict[str, Any] | None:
        """The next message; None if there is none in time."""
        assert self._process.stdout
        output = self._process.stdout.fileno()
        waiting = [self._verdicts, output]
        while (left := deadline - time.monotonic()) > 0:
            ready = select.select(waiting, [], [], left)[0]
            if output in ready:
                piece = os.read(output, 1 << 16)
                self._output += piece
                if len(self._output) > bounds.output_kb * 1024:
                    return {"outcome": "fail", "reason": "output_limit", "error": f"more than {bounds.output_kb} kB were printed"}
                if not piece:
                    waiting.remove(output)
            elif self._verdicts in ready:
                return self._message(deadline, bounds)
        return None

    def _message(self, deadline: float, bounds: Limits) -> dict[str, Any] | None:
        try:
            message = wire.read(self._verdicts, most=_VERDICT_BYTES, deadline=deadline)
        except wire.Late:
            return None
        except (wire.Closed, wire.TooLong, ValueError, RecursionError):
            tail = self._output.decode(errors="replace")[-400:]
            return {"unable": f"the tests' process ended without a verdict {tail}".strip()}
        if message.get("full"):
            size = f"{bounds.scratch_mb} MB or {bounds.scratch_files} files"
            return {"outcome": "fail", "reason": "output_limit", "error": f"more than {size} were written"}
        return message
