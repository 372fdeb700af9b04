"""What the command line tests share: the program in this process, and as a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from burnish.cli.main import invoke

PROGRAM = [sys.executable, "-c", "from burnish.cli.main import main; main()"]


@dataclass
class Done:
    """A command that has ended."""

    status: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        """The data of the JSON envelope, which has to be all that there is on stdout."""
        envelope = json.loads(self.out)
        assert envelope["schema"] == 1
        return envelope["data"]

    @property
    def error(self) -> dict[str, str]:
        return json.loads(self.out)["error"]


@pytest.fixture
def burnish(tmp_path, monkeypatch, capsys):
    """The program in this process, in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    for name in [n for n in os.environ if n.startswith("BURNISH_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "no-config"))

    def call(*arguments: str) -> Done:
        capsys.readouterr()
        status = invoke(arguments)
        return Done(status, *capsys.readouterr())

    return call


def environment(**extra: str) -> dict[str, str]:
    clean = {k: v for k, v in os.environ.items() if not k.startswith("BURNISH_") and k != "NO_COLOR"}
    return {**clean, **extra}


def start(*arguments: str, cwd: Path, **extra: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*PROGRAM, *arguments],
        cwd=cwd,
        env=environment(**extra),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def program(*arguments: str, cwd: Path, **extra: str) -> Done:
    return ended(start(*arguments, cwd=cwd, **extra))


def ended(process: subprocess.Popen[str]) -> Done:
    out, err = process.communicate(timeout=60)
    return Done(process.returncode, out, err)


def until(condition: Callable[[], bool]) -> None:
    """Wait for something another process does; a minute is a hang."""
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.02)


def kill(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
