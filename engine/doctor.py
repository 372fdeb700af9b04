"""Looking for what keeps the engine from working, and mending what can be mended."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from ..core.errors import BurnishError
from ..core.ids import Json
from . import install, models

Outcome: TypeAlias = Literal["ok", "warn", "fail"]

DISK_GIB, MEMORY_GIB = 2.0, 4.0
"""Free room below which starting the default engine may fail."""


@dataclass(frozen=True)
class Check:
    """What one look has found."""

    name: str
    outcome: Outcome
    found: str
    hint: str = ""
    """The mend in one line; empty if none is needed."""
    mend: Callable[[install.Say], object] | None = None
    """What `--fix` does; None if only the user can mend it."""

    def to_json(self) -> dict[str, Json]:
        """Plain form."""
        return {"name": self.name, "outcome": self.outcome, "found": self.found, "hint": self.hint, "fixable": bool(self.mend)}


def examine() -> list[Check]:
    """Look at everything but the store."""
    checks = [python(), vllm(), companions(), default_model(), disk(), memory()]
    return [check for check in checks if check is not None]


def python() -> Check:
    """The interpreter, and where it is."""
    version = ".".join(map(str, sys.version_info[:3]))
    return Check("python", "ok", f"{version} ({sys.executable})")


def vllm() -> Check:
    """The installed vLLM: one, the right one, recent enough, and importable."""
    hardware, present = install.hardware(), install.installed()

    def mend(say: install.Say) -> object:
        return install.install(hardware, say=say)

    hint = "burnish engine install"
    if not present:
        return Check("vllm", "fail", "not installed", hint, mend)
    shown = ", ".join(f"{p.distribution} {p.version}" for p in present)
    if len(present) > 1:
        return Check("vllm", "fail", f"{shown}: two builds with the same files", hint, mend)
    only = present[0]
    if not only.current:
        return Check("vllm", "fail", f"{shown} is too old", hint, mend)
    if only.device == "gpu" and hardware == "cpu":
        return Check("vllm", "fail", f"{shown} is for GPUs, and no NVIDIA GPU was found", hint, mend)
    if problem := install.import_problem("vllm"):
        return Check("vllm", "fail", f"{shown} cannot be imported: {problem}", hint, mend)
    if only.device == "cpu" and hardware == "gpu":
        return Check("vllm", "warn", f"{shown} leaves the GPU unused", f"{hint} --gpu", mend)
    return Check("vllm", "ok", shown)


def companions() -> Check | None:
    """The companions of torch that break transformers if they do not fit; None if none is installed."""
    if not any(install.installed_version(name) for name in install.COMPANIONS):
        return None
    broken = install.broken_companions()
    if not broken:
        return Check("torch companions", "ok", "importable")
    return Check(
        "torch companions",
        "fail",
        f"{', '.join(broken)} cannot be imported, which breaks transformers",
        f"pip uninstall {' '.join(broken)}",
        lambda say: install.install(say=say),
    )


def default_model() -> Check:
    """The default model in burnish's folder."""
    name = models.DEFAULT_MODEL
    model = models.stored(name)
    if model.ready:
        return Check("model", "ok", f"{name} in {model.path}")

    def mend(say: install.Say) -> object:
        from .models_fetch import fetch

        return fetch(models.CATALOGUE[name], say=say, force=True)

    missing = install.missing_for_conversion()
    also = f" (converting it needs {', '.join(missing)})" if missing else ""
    there = model.path.is_dir()
    command = f"burnish models pull {'--force ' if there else ''}{name}"
    return Check("model", "fail" if there else "warn", f"{name}: {model.problem}{also}", command, mend)


def disk() -> Check:
    """Free room where models and logs are kept."""
    folder = models.home()
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free / 2**30
    if not os.access(folder, os.W_OK):
        return Check("disk", "fail", f"{folder} cannot be written", "set BURNISH_HOME")
    outcome: Outcome = "ok" if free >= DISK_GIB else "warn"
    return Check("disk", outcome, f"{free:.1f} GiB free in {folder}", "" if outcome == "ok" else "make room, or set BURNISH_HOME")


def memory() -> Check | None:
    """Memory that is available; None where the system does not say."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        available = next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable:")) / 2**20
    except (OSError, StopIteration, ValueError):
        return None
    outcome: Outcome = "ok" if available >= MEMORY_GIB else "warn"
    return Check("memory", outcome, f"{available:.1f} GiB available", "" if outcome == "ok" else "close other programs")


async def generation() -> Check:
    """Start the default engine and generate one token."""
    from ..core.prompt import Prompt
    from ..core.sampling import Sampling
    from .vllm import VLLMEngine

    engine = VLLMEngine(max_model_len=512)
    try:
        await engine.start()
        try:
            done = await engine.generate(Prompt.of("Say yes."), Sampling(max_tokens=1, temperature=0))
        finally:
            await engine.close()
    except BurnishError as e:
        return Check("generation", "fail", e.message, e.hint)
    return Check("generation", "ok", f"{done.tokens.completion} token by {engine.info.model} on {engine.info.settings['device']}")
