"""Virtual environments for the libraries that burnish is measured beside: their dependencies are none of burnish's."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ..core.errors import EngineUnavailable
from ..core.text import one_line
from .report import say


@dataclass(frozen=True, kw_only=True)
class Peer:
    """A library, pinned."""

    package: str
    """What pip installs, without the version."""
    version: str
    check: str
    """Python that fails unless it is there."""


PEERS: Mapping[str, Peer] = {
    "its_hub": Peer(package="its_hub[lm]", version="1.2.0", check="import its_hub; its_hub.LMOrchestrator"),
    "dspy": Peer(package="dspy", version="3.4.1", check="import dspy; dspy.BestOfN"),
}


def environment(name: str, folder: Path) -> Path:
    """The Python of a virtual environment with a peer in it, made unless it is there.

    Raises:
        EngineUnavailable: it cannot be made.
    """
    peer, python = PEERS[name], folder / "bin" / "python"
    pinned = f"from importlib.metadata import version; assert version({name!r}) == {peer.version!r}; {peer.check}"
    check = [str(python), "-I", "-c", pinned]
    if python.exists() and subprocess.run(check, capture_output=True, check=False).returncode == 0:
        return python
    if folder.exists() and any(folder.iterdir()) and not (folder / "pyvenv.cfg").exists():
        raise EngineUnavailable(f"{folder} is no virtual environment", hint="give an empty folder: --environment")
    say(f"installing {name} {peer.version} into {folder}")
    steps = (
        [sys.executable, "-m", "venv", str(folder)],
        [str(python), "-m", "pip", "install", "-q", f"{peer.package}=={peer.version}"],
        check,
    )
    for step in steps:
        done = subprocess.run(step, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            reason = one_line(done.stderr[-300:], 300)
            raise EngineUnavailable(f"{name} cannot be installed: {reason}", hint="give --environment")
    return python
