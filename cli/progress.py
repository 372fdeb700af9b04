"""How far a batch is: a bar where stderr is a terminal, else one plain line for each run that ends."""

from __future__ import annotations

import os
import sys
from collections import Counter
from types import TracebackType
from typing import TYPE_CHECKING

from ..core.result import Result
from ..core.text import one_line
from .output import number, say, short
from .results import word

if TYPE_CHECKING:
    from rich.progress import Progress as Bar
    from rich.progress import TaskID


class Progress:
    """Told each result of a batch."""

    def __init__(self, total: int) -> None:
        self._total, self._done = total, 0
        self._words: Counter[str] = Counter()
        self._bar: Bar | None = None
        self._task: TaskID | None = None

    def __enter__(self) -> Progress:
        if sys.stderr.isatty() and os.environ.get("TERM") != "dumb":
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

            columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}", markup=False))
            self._bar = Progress(*columns, console=Console(stderr=True), transient=True)
            self._bar.start()
            self._task = self._bar.add_task("", total=self._total)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._bar:
            self._bar.stop()

    def advance(self, result: Result) -> None:
        """One more run has ended."""
        self._done += 1
        self._words[word(result)] += 1
        if self._bar is not None and self._task is not None:
            told = ", ".join(f"{count} {name}" for name, count in self._words.most_common())
            self._bar.update(self._task, advance=1, description=told)
            return
        text = result.error.message if result.error else result.answer or ""
        score = f" {number(result.score)}" if result.score is not None else ""
        end = f"{word(result)}{score}"
        say(f"[{self._done}/{self._total}] {short(result.run_id)} {one_line(result.task_id, 40)}: {end}: {one_line(text)}")
