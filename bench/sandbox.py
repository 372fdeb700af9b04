"""What it costs to run a test in the sandbox, against an interpreter that does nothing, in turns."""

from __future__ import annotations

import subprocess
import sys
import time

from ..core.errors import BurnishError
from ..verifiers.sandbox import program
from ..verifiers.sandbox.layers import layers
from ..verifiers.sandbox.limits import Limits
from .report import Measure, Section, say

REPETITIONS = 31
MORE_BAR_MS = 60.0
_CODE, _TESTS = "def add(a, b):\n    return a + b\n", "assert add(1, 2) == 3\nassert add(-1, 1) == 0\n"


def run(repetitions: int = REPETITIONS) -> Section:
    """Measure under the layers that this machine offers.

    Raises:
        BurnishError: a run failed.
    """
    found = layers()
    if not found.strong:
        return Section(name="sandbox", skipped=f"this machine cannot confine code: {'; '.join(found.gaps)}")
    say(f"sandbox: {repetitions} repetitions under {', '.join(found.names)}")
    bare: list[float] = []
    confined: list[float] = []
    for repetition in range(repetitions + 1):
        pair = _bare(), _confined()
        if repetition:  # the first fills the disk's cache
            bare.append(round(pair[0], 2))
            confined.append(round(pair[1], 2))
    pairs = list(zip(bare, confined, strict=True))
    return Section(
        name="sandbox",
        measures=[
            Measure(name="sandboxed test over python -c pass", values=[c - b for b, c in pairs], bar=MORE_BAR_MS, unit="ms"),
            Measure(name="  ratio", values=[c / b for b, c in pairs]),
            Measure(name="  sandboxed test", values=confined, unit="ms"),
            Measure(name="  python -c pass", values=bare, unit="ms"),
        ],
        details={"repetitions": repetitions, "layers": found.names},
    )


def _bare() -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", "pass"], check=True)
    return (time.perf_counter() - began) * 1000


def _confined() -> float:
    began = time.perf_counter()
    said = program.run(_CODE, _TESTS, None, "", Limits().to_json(), layers().to_json())
    milliseconds = (time.perf_counter() - began) * 1000
    if said.get("outcome") != "pass":
        raise BurnishError(f"a sandboxed test that must pass did not: {said}", code="bench")
    return milliseconds
