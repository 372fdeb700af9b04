"""One worker process, seen from the program that started it."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from . import worker_main

START_SECONDS = 60.0
"""Longest time that starting a worker, or importing what a call needs, may take."""
REPLY_BYTES = 16 * 2**20
"""Longest reply that is read."""
IN_WORKER = "BURNISH_WORKER"
"""Environment variable that is set within workers."""


class WorkerDied(Exception):
    """The process ended before it replied."""

    def __init__(self, *, started: bool) -> None:
        super().__init__("the worker process ended")
        self.started = started
        """Whether the call had begun."""


class WorkerProcess:
    """A worker and the socket to it. One thread makes it, calls it and closes it; any thread may `end` it."""

    def __init__(self) -> None:
        self._socket, theirs = socket.socketpair()
        command = [sys.executable, "-P", str(Path(worker_main.__file__)), str(theirs.fileno()), str(os.getpid())]
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
                env={**os.environ, IN_WORKER: "1"},
            )
        except OSError:
            self._socket.close()
            raise
        finally:
            theirs.close()
        self._number = 0

    def call(self, request: dict[str, Any], seconds: float) -> dict[str, Any]:
        """Send a request and wait for its reply, for `seconds` from when the worker says that it began.

        Raises:
            TimeoutError: the reply did not come in time.
            WorkerDied: the process ended, or sent what is no reply.
        """
        self._number += 1
        started, deadline = False, time.monotonic() + START_SECONDS
        try:
            self._socket.settimeout(START_SECONDS)
            worker_main.send(self._socket, {"id": self._number, **request})
            while True:
                reply = self._receive(deadline)
                if reply.get("id") != self._number:
                    continue
                if not reply.get("started"):
                    return reply
                started, deadline = True, time.monotonic() + seconds
        except TimeoutError:
            raise
        except (OSError, ValueError, RecursionError, AttributeError):
            raise WorkerDied(started=started) from None

    def end(self) -> None:
        """Have its supervisor kill the worker and everything below it, without waiting."""
        if self._process.stdin:
            with contextlib.suppress(OSError):
                self._process.stdin.close()

    def close(self) -> None:
        """End it and wait until it is gone."""
        self.end()
        self._socket.close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _receive(self, deadline: float) -> dict[str, Any]:
        (size,) = struct.unpack("!I", self._exactly(4, deadline))
        if size > REPLY_BYTES:
            raise ValueError(f"a reply of {size} bytes")
        return json.loads(self._exactly(size, deadline))

    def _exactly(self, count: int, deadline: float) -> bytes:
        data = bytearray()
        while len(data) < count:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError
            self._socket.settimeout(left)
            piece = self._socket.recv(min(count - len(data), 2**20))
            if not piece:
                raise ConnectionError
            data += piece
        return bytes(data)
