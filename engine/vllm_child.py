"""What happens inside each process that vLLM starts.

vLLM sets up logging in every one of its processes from a file that an environment variable names. That file names the
handler below, so this is the one place where burnish gets a word in the children: they enrol with the guardian, write
all their output to the log file, and leave Ctrl-C to burnish, which then ends them in order.
"""

from __future__ import annotations

import logging
import os
import signal
from pathlib import Path
from typing import Any

from .guardian import enrol, start_time


class ChildLog(logging.FileHandler):
    """The log file; made in a child, it also enrols the child. In the owner it is a log file only."""

    def __init__(self, log: str, pids: str, owner: int, owner_started: int) -> None:
        super().__init__(log, encoding="utf-8", delay=True)
        if os.getpid() != owner:
            _adopt(Path(log), Path(pids), owner, owner_started)


def logging_config(log: Path, pids: Path) -> dict[str, Any]:
    """The logging set-up for vLLM's processes, with this process as their owner."""
    handler = {
        "()": f"{__name__}.ChildLog",
        "formatter": "plain",
        "log": str(log),
        "pids": str(pids),
        "owner": os.getpid(),
        "owner_started": start_time(os.getpid()) or 0,
    }
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"plain": {"format": "%(asctime)s %(processName)s %(levelname)s %(name)s: %(message)s"}},
        "handlers": {"file": handler},
        "loggers": {"vllm": {"handlers": ["file"], "level": "INFO", "propagate": False}},
    }


def _adopt(log: Path, pids: Path, owner: int, owner_started: int) -> None:
    try:
        enrol(pids, os.getpid())
    except OSError:
        os._exit(1)
    if start_time(owner) != owner_started:  # it died before this process could be told: the guardian may be past us
        os._exit(1)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    fd = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.dup2(fd, 1)
    os.dup2(fd, 2)
    os.close(fd)
