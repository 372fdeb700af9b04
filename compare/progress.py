"""How far a comparison is: one line for each arm at every quarter, whatever the number of tasks."""

from __future__ import annotations

from collections.abc import Callable

from ..core.result import Result
from ..core.text import one_line
from .plan import Arm


class Quarters:
    """Told each result of a comparison; says so at every quarter of an arm."""

    def __init__(self, total: int, say: Callable[[str], object]) -> None:
        self._total, self._say = total, say
        self._done: dict[tuple[str, int], int] = {}

    def __call__(self, arm: Arm, seed: int, result: Result) -> None:
        """One more run has ended."""
        done = self._done[arm.name, seed] = self._done.get((arm.name, seed), 0) + 1
        if done * 4 // self._total != (done - 1) * 4 // self._total:
            self._say(f"{one_line(arm.name)}, seed {seed}: {done} of {self._total}")
