"""Reads the record of one run into memory, when its lease is taken: a handful of queries, whatever its size.

Texts stay compressed until somebody asks for the call that they belong to.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import Connection, Row, Select, select, union

from ..core.completion import Completion, TokenCounts
from ..core.errors import StoreError
from ..core.policy import Selection
from ..core.records import CallState, Decided, Intent, Judged, Outcome, Record, RecordedCall, StepEnd, Told
from ..core.text import storable
from ..core.verdict import Verdict
from . import schema as s
from .codec import unpack, unpack_ids, unpack_logprobs
from .run_state import RunState

Packed = tuple[str, int, bytes]
"""Codec, size, bytes."""


class Recorded:
    """What is recorded of a run, by position, and what is learned as it goes on."""

    def __init__(self) -> None:
        self.calls: dict[str, RecordedCall | Row[Any] | Intent | Outcome] = {}
        """Rows as loaded and records as learned, until they are asked for."""
        self._hashes: dict[str, str] = {}
        """Request hashes of the calls that were learned."""
        self.call_steps: dict[str, list[str]] = {}
        """Positions of the calls with a result that were made in a step, in order of their beginning."""
        self.verdicts: dict[str, Verdict] = {}
        self.decisions: dict[str, Selection] = {}
        self.tells: dict[str, list[str]] = {}
        self.steps_done: set[str] = set()
        self._open: dict[str, str] = {}
        """Steps of the calls that have no result, by the calls' positions."""
        self._blobs: dict[str, Packed] = {}
        self._learners: dict[type, Callable[[Any], None]] = {
            Intent: self._learn_intent,
            Outcome: self._learn_outcome,
            Judged: self._learn_verdict,
            Decided: self._learn_decision,
            Told: self._learn_tell,
            StepEnd: self._learn_step_end,
        }

    def call(self, position: str) -> RecordedCall | None:
        """The call at a position."""
        found = self.calls.get(position)
        match found:
            case None | RecordedCall():
                return found
            case Intent():
                return RecordedCall(request_hash=found.request_hash, state="intent")
            case Outcome():
                made = _learned(found, self._hashes[position])
            case _:
                made = self._recorded_call(found)
        self.calls[position] = made
        return made

    def state(self, position: str) -> CallState | None:
        """The state of the call at a position, without reading its texts."""
        found = self.calls.get(position)
        return "intent" if isinstance(found, Intent) else found.state if found else None

    def learn(self, record: Record) -> None:
        """Take in a record that is durable."""
        take_in = self._learners.get(type(record))
        if take_in:
            take_in(record)

    def _learn_intent(self, record: Intent) -> None:
        position = storable(record.position)
        if position not in self.calls:
            self.calls[position] = record
            self._hashes[position] = record.request_hash
            self._open[position] = storable(record.step)

    def _learn_outcome(self, record: Outcome) -> None:
        position = storable(record.position)
        step = self._open.pop(position, None)
        if step is not None:
            self.calls[position] = record
            self.call_steps.setdefault(step, []).append(position)

    def _learn_verdict(self, record: Judged) -> None:
        self.verdicts.setdefault(storable(record.position), record.verdict)

    def _learn_decision(self, record: Decided) -> None:
        self.decisions.setdefault(storable(record.position), record.selection)

    def _learn_tell(self, record: Told) -> None:
        told = self.tells.setdefault(storable(record.scope), [])
        if record.number == len(told):
            told.append(record.id)

    def _learn_step_end(self, record: StepEnd) -> None:
        if record.status == "done":
            self.steps_done.add(storable(record.position))

    def clear(self) -> None:
        """Forget everything."""
        for kept in (
            self.calls,
            self._hashes,
            self._open,
            self.call_steps,
            self.verdicts,
            self.decisions,
            self.tells,
            self.steps_done,
            self._blobs,
        ):
            kept.clear()

    def load(self, connection: Connection, state: RunState) -> None:
        """Read what is recorded, and tell the writer's side what is known."""
        run_id = state.run_id
        self._blobs = _blobs(connection, run_id)
        for row in _of_run(connection, s.step, run_id):
            _know(state, "s", row.position, row.seq, row.attempts)
            if row.ended_seq is not None:
                _know(state, "e", row.position, row.ended_seq, row.ended_seq)
            if row.status == "done":
                self.steps_done.add(row.position)
        for row in _of_run(connection, s.call, run_id):
            _know(state, "c", row.position, row.seq, row.attempts)
            self.calls[row.position] = row
            if row.ended_seq is not None:
                _know(state, "o", row.position, row.ended_seq)
                self.call_steps.setdefault(row.step, []).append(row.position)
            else:
                self._hashes[row.position] = row.request_hash
                self._open[row.position] = row.step
        for row in _of_run(connection, s.verdict, run_id):
            _know(state, "v", row.position, row.seq)
            self.verdicts[row.position] = self._verdict(row)
        for row in _of_run(connection, s.decision, run_id):
            _know(state, "d", row.position, row.seq)
            self.decisions[row.position] = Selection(
                id=row.selected, reason=row.reason, confidence=row.confidence, details=json.loads(row.details)
            )
        for position, seq in connection.execute(select(s.candidate.c.position, s.candidate.c.seq).filter_by(run_id=run_id)):
            _know(state, "k", position, seq)
        for row in _of_run(connection, s.tell, run_id):
            _know(state, "t", f"{row.scope}\n{row.number}", row.seq)
            self.tells.setdefault(row.scope, []).append(row.told)

    def _recorded_call(self, row: Row[Any]) -> RecordedCall:
        return RecordedCall(
            request_hash=row.request_hash,
            state=row.state,
            completion=self._completion(row) if row.finish_reason else None,
            value=None if row.value_sha is None else json.loads(self._bytes(row.value_sha).decode("utf-8", "surrogatepass")),
            error_code=row.error_code,
            error=row.error,
        )

    def _completion(self, row: Row[Any]) -> Completion:
        logprobs, top = unpack_logprobs(self._bytes(row.detail_sha)) if row.detail_sha else (None, None)
        return Completion(
            text=self._text(row.text_sha),
            finish_reason=row.finish_reason,
            reasoning=self._text(row.reasoning_sha),
            token_ids=unpack_ids(self._bytes(row.tokens_sha)) if row.tokens_sha else None,
            logprobs=logprobs,
            top_logprobs=top,
            tokens=TokenCounts(row.prompt_tokens, row.cached_tokens, row.completion_tokens, row.reasoning_tokens),
            cost_usd=row.cost_micro_usd / 1e6,
        )

    def _verdict(self, row: Row[Any]) -> Verdict:
        evidence = self._text(row.evidence_sha) if row.evidence_sha else row.evidence
        return Verdict(
            outcome=row.outcome,
            score=row.score,
            feedback=self._text(row.feedback_sha) if row.feedback_sha else row.feedback,
            reason=row.reason,
            evidence=json.loads(evidence),
            valid_prefix=row.valid_prefix,
        )

    def _text(self, sha: str | None) -> str:
        return "" if sha is None else self._bytes(sha).decode("utf-8", "surrogatepass")

    def _bytes(self, sha: str) -> bytes:
        if sha not in self._blobs:
            raise StoreError(f"the stored text {sha} is missing", hint="restore the database from a backup", code="corrupt")
        codec, size, data = self._blobs[sha]
        return unpack(codec, data, size)


def _learned(record: Outcome, request_hash: str) -> RecordedCall:
    return RecordedCall(
        request_hash=request_hash,
        state=record.state,
        completion=record.completion,
        value=record.value,
        error_code=record.error_code,
        error=record.error,
    )


def _know(state: RunState, letter: str, position: str, seq: int, times: int = 1) -> None:
    state.known[letter + position] = times
    state.seq = max(state.seq, seq)


def _of_run(connection: Connection, table: Any, run_id: str) -> Sequence[Row[Any]]:
    order = (table.c.scope, table.c.number) if table is s.tell else (table.c.seq,)
    return connection.execute(select(table).where(table.c.run_id == run_id).order_by(*order)).all()


def _blobs(connection: Connection, run_id: str) -> dict[str, Packed]:
    call, verdict = s.call.c, s.verdict.c
    columns = (call.text_sha, call.reasoning_sha, call.tokens_sha, call.detail_sha, call.value_sha)
    wanted: list[Select[Any]] = [select(c).where(call.run_id == run_id, c.is_not(None)) for c in columns]
    wanted += [select(c).where(verdict.run_id == run_id, c.is_not(None)) for c in (verdict.feedback_sha, verdict.evidence_sha)]
    b = s.blob.c
    rows = connection.execute(select(b.sha, b.codec, b.size, b.data).where(b.sha.in_(union(*wanted))))
    return {sha: (codec, size, data) for sha, codec, size, data in rows}
