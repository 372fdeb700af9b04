"""Runs on an open session, and what is shown of their end: the part that `run` and `runs resume` share."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

from ..core.errors import BurnishError, Waiting
from ..core.ids import Json
from ..core.result import Result
from ..core.text import printable
from .abstentions import commonest
from .errors import FAILURE, INTERRUPTED, OK, WAITING
from .output import count, emit, say, short, show
from .progress import Progress
from .questions import name_questions
from .results import Totals, result_json, show_results, status_of, summary_lines, word
from .signals import Signals

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from ..session import Session

_PATIENCE = 2.0
"""Seconds after which a start is announced."""


@asynccontextmanager
async def opened(session: Session, signals: Signals, engine: str) -> AsyncGenerator[Session]:
    """The session, open; a slow start is announced, and signals reach its runs."""
    notice = asyncio.get_running_loop().call_later(_PATIENCE, say, f"starting the engine {engine} ...")
    try:
        async with session:
            notice.cancel()
            signals.session = session
            yield session
    finally:
        notice.cancel()


async def one(session: Session, work: Awaitable[Result]) -> Result:
    """Wait for a single run; if it does not get to its end, the error says how to go on with it."""
    try:
        return await work
    except BurnishError as e:
        run_id = getattr(e, "run_id", None)
        if run_id and isinstance(e, Waiting):
            name_questions(e, session.store.reader(), run_id)
        elif run_id and not e.hint:
            e.hint = f"go on with it: burnish runs resume {short(run_id)}"
        raise


def show_one(result: Result, *, as_json: bool, store: str | None) -> int:
    """Print the answer, and on stderr all else. Returns the exit status."""
    if as_json:
        emit(result_json(result))
        return status_of(result)
    if result.answer is not None:
        show(printable(result.answer))
    for line in summary_lines(result, commonest([result], store)):
        say(line)
    return status_of(result)


@dataclass
class Batch:
    """Results of many runs."""

    id: str | None = None
    """The batch's id; None if the runs belong to none, or to several."""
    results: list[Result] = field(default_factory=list[Result])
    interrupted: bool = False
    not_begun: int = 0
    """Runs that an interruption kept from beginning."""
    left_alone: dict[str, BurnishError] = field(default_factory=dict[str, BurnishError])
    """Runs that cannot go on as they are, and why."""

    async def collect(self, results: AsyncIterator[Result], total: int, signals: Signals) -> None:
        """Take results as they come. If the storage fails, say how to go on."""
        before = len(self.results)
        with Progress(total, lambda: signals.session.running if signals.session else 0) as progress:
            try:
                async with aclosing(cast("AsyncGenerator[Result]", results)) as stream:
                    async for result in stream:
                        self.results.append(result)
                        progress.advance(result)
            except BurnishError as e:
                if not e.hint:
                    e.hint = f"go on with it: {self._go_on()}"
                raise
        if signals.requested:
            self.skip(total - (len(self.results) - before))
            self.interrupted |= any(word(r) == "interrupted" for r in self.results)

    def skip(self, runs: int) -> None:
        """Note runs that an interruption kept from beginning."""
        self.not_begun += runs
        self.interrupted |= runs > 0

    def sort(self, task_ids: list[str]) -> None:
        """Put the results into the order of the tasks."""
        place = {task_id: at for at, task_id in enumerate(task_ids)}
        self.results.sort(key=lambda r: place.get(r.task_id, len(place)))

    def show(self, *, as_json: bool, store: str | None) -> int:
        """Print all of it. Returns the exit status."""
        totals = Totals.of(self.results)
        if as_json:
            listed: list[Json] = [result_json(r) for r in self.results]
            data = {"batch_id": self.id, "interrupted": self.interrupted, "results": listed, "totals": totals.to_json()}
            data["left_alone"] = [
                {"run_id": run_id, "kind": e.code, "message": e.message, "hint": e.hint} for run_id, e in self.left_alone.items()
            ]
            emit(data, truncated=self.interrupted)
        else:
            left = show_results(self.results)
            for line in (*totals.lines(), *commonest(self.results, store), *([f"{left:,} more: {self._list()}"] if left else [])):
                say(line)
            if self.not_begun:
                say(f"{self.not_begun:,} not begun")
        failed = any(word(r) in ("failed", "interrupted") for r in self.results)
        waiting = totals.words["waiting"]
        if waiting and not as_json:
            say(f"{count(waiting, 'run')} with questions: {self._list(' --status waiting')}, burnish runs answer ID")
        if (failed or self.interrupted) and not as_json:
            say(f"go on with it: {self._go_on()}")
        return INTERRUPTED if self.interrupted else FAILURE if failed or self.left_alone else WAITING if waiting else OK

    def _go_on(self) -> str:
        return f"burnish runs resume {f'--batch {short(self.id)}' if self.id else '--all'}"

    def _list(self, status: str = "") -> str:
        return f"burnish runs list{f' --batch {short(self.id)}' if self.id else ''}{status}"
