"""A virtual environment of its own for its_hub, since its dependencies are none of burnish's."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from ..core.errors import EngineUnavailable
from ..core.text import one_line
from .report import say

VERSION = "1.2.0"


def environment(folder: Path) -> Path:
    """The Python of a virtual environment with its_hub in it, made unless it is there.

    Raises:
        EngineUnavailable: it cannot be made.
    """
    python = folder / "bin" / "python"
    check = [str(python), "-I", "-c", f"import its_hub; assert its_hub.__version__ == {VERSION!r}; its_hub.LMOrchestrator"]
    if python.exists() and subprocess.run(check, capture_output=True, check=False).returncode == 0:
        return python
    if folder.exists() and any(folder.iterdir()) and not (folder / "pyvenv.cfg").exists():
        raise EngineUnavailable(f"{folder} is no virtual environment", hint="give an empty folder: --environment")
    say(f"installing its_hub {VERSION} into {folder}")
    steps = (
        [sys.executable, "-m", "venv", str(folder)],
        [str(python), "-m", "pip", "install", "-q", f"its_hub[lm]=={VERSION}"],
        check,
    )
    for step in steps:
        done = subprocess.run(step, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise EngineUnavailable(
                f"its_hub cannot be installed: {one_line(done.stderr[-300:], 300)}", hint="give --environment"
            )
    return python
