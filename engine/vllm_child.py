"""What happens first in each process that vLLM starts: the main module of those processes, in place of the user's.

A spawned process begins by importing its parent's main module. For vLLM's processes that is this one: they enrol with
the guardian, write all their output to the log file, and leave Ctrl-C to burnish, which then ends them in order. It also
spares a user's script from being run again in each of them.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import threading
from collections.abc import Generator
from multiprocessing import spawn
from pathlib import Path
from typing import Any

from .guardian import enrol, start_time

VARIABLE = "BURNISH_VLLM_CHILD"
"""Environment variable that tells a child where it belongs, as JSON."""


def belonging(log: Path, pids: Path, environment: dict[str, str]) -> str:
    """The value of the variable; `environment` is set in the children only."""
    owner = os.getpid()
    fields = {"log": str(log), "pids": str(pids), "owner": owner, "started": start_time(owner), "environment": environment}
    return json.dumps(fields)


@contextlib.contextmanager
def children_start_here() -> Generator[None]:
    """Give the processes that this thread spawns this module as their main module."""
    thread, original = threading.get_ident(), spawn.get_preparation_data

    def preparation(name: str) -> dict[str, Any]:
        data: dict[str, Any] = original(name)
        if threading.get_ident() == thread:
            data.pop("init_main_from_path", None)
            data["init_main_from_name"] = __spec__.name if __spec__ else __name__
        return data

    spawn.get_preparation_data = preparation  # pyright: ignore[reportAttributeAccessIssue]
    try:
        yield
    finally:
        spawn.get_preparation_data = original


def adopt(text: str) -> None:
    """Become one of the engine's processes, or end if their owner is gone."""
    fields = json.loads(text)
    try:
        enrol(Path(fields["pids"]), os.getpid())
    except OSError:  # the guardian has been here
        os._exit(1)
    if start_time(fields["owner"]) != fields["started"]:  # it may not see us any more
        os._exit(1)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    fd = os.open(fields["log"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.dup2(fd, 1)
    os.dup2(fd, 2)
    os.close(fd)
    os.environ.update(fields["environment"])


if __name__ == "__mp_main__" and VARIABLE in os.environ:
    adopt(os.environ[VARIABLE])
