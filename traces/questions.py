"""Questions of runs that wait for a person, and storing what the person says.

A question is a call without a result; to answer it is to write the result under the run's lease, which of two people at
once only one can have. The run itself goes on when it is resumed.
"""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from ..core.errors import ConfigError, StoreError
from ..core.human import ASK, Question, Reply
from ..core.records import Outcome
from ..core.runs import RunEnd
from . import schema as s

if TYPE_CHECKING:
    from .reader import Reader
    from .store import Store


_TRIES, _PAUSE = 10, 0.05


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A question that a run has asked."""

    run_id: str
    number: int
    """The number of the fact in its run (`seq`), by which it is told from others."""
    position: str
    step: str
    question: Question
    asked_ns: int
    reply: Reply | None
    """None while nobody has answered."""


def questions(reader: Reader, run_id: str) -> list[Asked]:
    """What a run has asked, answered or not, in its order."""
    c = s.call.c
    columns = (c.seq, c.position, c.step, c.request_sha, c.value_sha, c.sent_ns)
    rows = reader.rows(select(*columns).where(c.run_id == run_id, c.kind == ASK).order_by(c.seq))
    texts = reader.texts([sha for row in rows for sha in (row["request_sha"], row["value_sha"]) if sha])
    return [
        Asked(
            run_id=run_id,
            number=row["seq"],
            position=row["position"],
            step=row["step"],
            question=Question.from_json(json.loads(texts[row["request_sha"]])),
            asked_ns=row["sent_ns"],
            reply=_reply(texts, row["value_sha"]),
        )
        for row in rows
    ]


def open_questions(reader: Reader, run_id: str) -> list[Asked]:
    """What a run waits for: its questions that nobody has answered; none if it does not wait."""
    if reader.run(run_id).status in ("done", "failed"):
        return []
    return [asked for asked in questions(reader, run_id) if asked.reply is None]


async def answer(store: Store, run_id: str, number: int, reply: Reply) -> int:
    """Store the reply to a question. Returns how many questions of the run are still open; with none left it can go on.

    Raises:
        ConfigError: there is no such question, it has been answered before (code `answered`), or the reply does not fit.
        Fenced: another process has the run.
        StoreError: the run has ended.
    """
    asked = _unanswered(store, run_id, number)
    asked.question.replied(reply)
    try:
        journal = await store.acquire(run_id, unless=("done", "failed"))
    except StoreError:
        await _answered_meanwhile(store, run_id, number)
        raise
    try:
        # What was read before the lease may be out of date.
        asked = _unanswered(store, run_id, number)
        seconds = max(0.0, (time.time_ns() - asked.asked_ns) / 1e9)
        await journal.write(Outcome(position=asked.position, state="ok", value=reply.to_json(), seconds=seconds))
    finally:
        left = len([a for a in questions(store.reader(), run_id) if a.reply is None])
        end = RunEnd(status="waiting", error_code="waiting", error=_more(left)) if left else RunEnd(status="interrupted")
        await journal.finish(end, journal.elapsed)
    return left


async def _answered_meanwhile(store: Store, run_id: str, number: int) -> None:
    """Somebody else has the run, who may be about to answer the same question: to say so helps more than that it is busy."""
    for _ in range(_TRIES):
        _unanswered(store, run_id, number)
        await asyncio.sleep(_PAUSE)


def _unanswered(store: Store, run_id: str, number: int) -> Asked:
    listed = questions(store.reader(), run_id)
    found = next((asked for asked in listed if asked.number == number), None)
    if found is None:
        hint = f"its questions: {', '.join(str(asked.number) for asked in listed)}" if listed else "it has asked nothing"
        raise ConfigError(f"the run has no question {number}", hint=hint)
    if found.reply is not None:
        by = f" by {found.reply.by}" if found.reply.by else ""
        what = f"the question {number} was answered already{by}: {spoken(found.question, found.reply)}"
        raise ConfigError(what, hint=f"look at it: burnish runs show {run_id[-8:]}", code="answered")
    return found


def spoken(question: Question, reply: Reply) -> str:
    """A reply in words, on one line or more."""
    if question.kind != "approve":
        return reply.text
    return ("approved" if reply.approved else "rejected") + (f": {reply.text}" if reply.text else "")


def _reply(texts: dict[str, str], sha: str | None) -> Reply | None:
    value: Any = json.loads(texts[sha]) if sha else None
    return None if value is None else Reply.from_json(value)


def _more(left: int) -> str:
    return f"waits for {left} more answers" if left > 1 else "waits for one more answer"
