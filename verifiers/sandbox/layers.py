"""Which layers of isolation this machine offers, found out once for each process, and what to do if they are too few."""

from __future__ import annotations

import functools
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Literal

from ...core.errors import ConfigError
from .isolation import Layers

Requirement = Literal["strong", "weak"]
ENVIRONMENT = {"LANG": "C.UTF-8", "PYTHONHASHSEED": "0"}
"""All that the interpreters of a sandbox are told. A fixed order of sets keeps verdicts the same from run to run."""
_PROBE_SECONDS = 60
_HINT = (
    "use a Linux kernel of 5.13 or later with seccomp, and Landlock or user namespaces (in a container: allow its system"
    ' calls); or, for code that you trust, require="weak"'
)


def command(module: str, *arguments: str) -> list[str]:
    """How to start `main` of a module of this folder in an interpreter that sees the standard library only.

    `-s -S -P` with an environment of one's own are what `-I` stands for, which would drop the hash seed as well.
    """
    folder = Path(__file__).parent
    start = f"import sys; sys.path.append(sys.argv.pop(1)); from {folder.name} import {module}"
    start += f"; sys.path.pop(); {module}.main(*(int(a) if a.isdigit() else a for a in sys.argv[1:]))"
    return [sys.executable, "-s", "-S", "-P", "-c", start, str(folder.parent), *arguments]


@functools.cache
def layers() -> Layers:
    """The layers that work here; none where this is not Linux."""
    if sys.platform != "linux":
        return Layers()
    try:
        done = subprocess.run(
            command("probe", tempfile.gettempdir()),
            env=ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_PROBE_SECONDS,
            check=True,
            start_new_session=True,
        )
        found: dict[str, Any] = json.loads(done.stdout)
    except (OSError, subprocess.SubprocessError, ValueError):
        return Layers()
    return Layers(**found)


def required(requirement: Requirement) -> Layers:
    """The layers to run under.

    Raises:
        ConfigError: they are too few for what is required.
    """
    found = layers()
    if requirement == "strong" and not found.strong:
        raise ConfigError(
            f"model-written code cannot be run safely here: it could {'; and '.join(found.gaps)}", hint=_HINT, code="weak_sandbox"
        )
    return found
