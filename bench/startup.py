"""How long a person waits: importing burnish, the help text, the list of 10,000 runs. Each in a fresh process."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from ..core.errors import BurnishError
from .report import Measure, Section, say

REPETITIONS = 9
IMPORT_BAR, HELP_BAR, LIST_BAR = 0.15, 0.25, 0.8
_IMPORT = "import time; t = time.perf_counter(); import burnish; print(time.perf_counter() - t)"


def run(store: Path, repetitions: int = REPETITIONS) -> Section:
    """Measure on a SQLite file that holds many runs.

    Raises:
        BurnishError: a command failed.
    """
    say(f"startup: {repetitions} repetitions")
    listing = ("runs", "list", "--json", "--store", f"sqlite:///{store}")
    imports: list[float] = []
    helps: list[float] = []
    lists: list[float] = []
    bare: list[float] = []
    for repetition in range(repetitions + 1):
        seconds = float(_run([sys.executable, "-c", _IMPORT])[1])
        row = (seconds, _burnish("--help"), _burnish(*listing), _run([sys.executable, "-c", "pass"])[0])
        if repetition:  # the first fills the disk's cache
            for values, value in zip((imports, helps, lists, bare), row, strict=True):
                values.append(round(value, 4))
    return Section(
        name="startup",
        measures=[
            Measure(name="import burnish", values=imports, bar=IMPORT_BAR, unit="s"),
            Measure(name="burnish --help", values=helps, bar=HELP_BAR, unit="s"),
            Measure(name="burnish runs list --json, 10,000 runs", values=lists, bar=LIST_BAR, unit="s"),
            Measure(name="  Python by itself", values=bare, unit="s"),
        ],
        details={"repetitions": repetitions},
    )


def _burnish(*arguments: str) -> float:
    script = Path(sys.executable).with_name("burnish")
    start = [str(script)] if script.exists() else [sys.executable, "-c", "from burnish.cli.main import main; main()"]
    return _run([*start, *arguments])[0]


def _run(command: list[str]) -> tuple[float, str]:
    began = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, "NO_COLOR": "1"})
    seconds = time.perf_counter() - began
    if done.returncode != 0:
        raise BurnishError(f"{' '.join(command[:3])} failed: {done.stderr.strip()[-400:]}", code="bench")
    return seconds, done.stdout
