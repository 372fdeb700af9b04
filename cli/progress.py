"""How far a batch is: a bar where stderr is a terminal, else one plain line for each run that ends."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Callable
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
    """Told each result of a batch. `running` says how many runs are being worked on."""

    def __init__(self, total: int, running: Callable[[], int] = lambda: 0) -> None:
        self._total, self._done, self._running = total, 0, running
        self._words: Counter[str] = Counter()
        self._abstained, self._tokens, self._usd = 0, 0, 0.0
        self._best: float | None = None
        self._bar: Bar | None = None
        self._task: TaskID | None = None

    def __enter__(self) -> Progress:
        if sys.stderr.isatty() and os.environ.get("TERM") != "dumb":
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
            from rich.table import Column
            from rich.text import Text

            class Told(TextColumn):
                """Asked for anew at each refresh: runs begin while none ends."""

                def render(self, task: object) -> Text:
                    return Text(batch.told())

            batch = self
            times = (TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn())
            told = Told("", table_column=Column(no_wrap=True))
            columns = (BarColumn(bar_width=20), MofNCompleteColumn(), *times, told)
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
        usage = result.usage
        self._abstained += usage.abstentions
        self._tokens += usage.prompt_tokens + usage.output_tokens
        self._usd += usage.usd
        if result.score is not None:
            self._best = result.score if self._best is None else max(self._best, result.score)
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, advance=1)
            return
        text = result.error.message if result.error else result.answer or ""
        score = f" {number(result.score)}" if result.score is not None else ""
        end = f"{word(result)}{score}"
        say(f"[{self._done}/{self._total}] {short(result.run_id)} {one_line(result.task_id, 40)}: {end}: {one_line(text)}")

    def told(self) -> str:
        """The batch so far: runs at work and how others ended, abstentions, tokens, money, the best score."""
        parts = [f"{self._running():,} running", *(f"{count:,} {name}" for name, count in self._words.most_common())]
        if self._abstained:
            parts.append(f"{self._abstained:,} abstentions")
        parts.append(f"{self._tokens:,} tokens")
        if self._usd:
            parts.append(f"${self._usd:.2f}")
        if self._best is not None:
            parts.append(f"best {number(self._best)}")
        return ", ".join(parts)
