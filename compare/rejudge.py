"""What a replay of a stored run rests on: its calls, its effects, its verdicts, and a journal that adds nothing to the world."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

from ..core.candidate import Candidate
from ..core.context import Context
from ..core.engine import EngineInfo
from ..core.errors import ConfigError, GenerationFailed
from ..core.ids import Json, canonical_json
from ..core.records import Intent, Outcome, Record, RecordedCall
from ..core.runs import RunSpec
from ..core.task import Task
from ..core.text import one_line
from ..core.verdict import Verdict, Verifier
from ..core.verify import judge
from ..engine.recalled import NOT_RECORDED, Recalled, RecalledEngine, Turns, by_role
from ..engine.recorded import stored_key
from ..traces.memory import MemoryJournal
from ..traces.reader import Reader
from ..traces.views import CallRow, VerdictRow
from .pool import engine_info
from .remember import Remembered


@dataclass(frozen=True, kw_only=True)
class Said:
    """A recorded verdict."""

    verdict: Verdict
    candidate: Candidate
    """What it is about."""
    verifier: str
    version: str
    grading: bool


@dataclass(frozen=True, kw_only=True)
class OldRun:
    """A stored run, as far as a replay needs it."""

    spec: RunSpec
    calls: Mapping[str, list[Recalled]]
    """Model calls by role, those without a result too."""
    effects: Mapping[str, RecordedCall]
    """Everything else that was recorded, by position."""
    candidates: Mapping[str, Candidate]
    """By position, in their order."""
    said: Mapping[str, Said]
    """Verdicts by position."""
    infos: Mapping[str, EngineInfo]

    @staticmethod
    def read(reader: Reader, run_id: str) -> OldRun:
        """Read a run, whole.

        Raises:
            ConfigError: it does not say which engine it used.
            StoreError: a stored text is missing or damaged.
        """
        spec, results = reader.spec(run_id), reader.recorded_calls(run_id)
        calls: dict[str, list[Recalled]] = {}
        effects: dict[str, RecordedCall] = {}
        rows = reader.calls(run_id)
        keys = _keys(reader, rows)
        for row in rows:
            if row.engine:
                calls.setdefault(row.role, []).append(
                    _recalled(row, keys[row.request_sha, row.prompt_sha], results[row.position])
                )
            elif row.state in ("ok", "error"):
                effects[row.position] = results[row.position]
        candidates = _candidates(reader, run_id)
        by_id = {c.id: c for c in candidates.values()}
        said = {v.position: _said(reader, v, by_id[v.candidate_id]) for v in reader.verdicts(run_id) if v.candidate_id in by_id}
        infos = {role: engine_info(cast("Mapping[str, Any]", e)) for role, e in spec.engines.items() if isinstance(e, Mapping)}
        if not infos:
            raise ConfigError(f"the run {run_id[-8:]} does not say which engine it used", hint="run the task anew")
        return OldRun(spec=spec, calls=calls, effects=effects, candidates=candidates, said=said, infos=infos)

    def engines(self, turns: Turns) -> dict[str, RecalledEngine]:
        """Engines that answer from the record, each result once."""
        return by_role(self.calls, self.infos, turns)


class Rejudging(Remembered):
    """A verifier that judges each answer once; where it said something when the run was recorded, that holds."""

    def __init__(self, verifier: Verifier, task: Task, said: Mapping[str, Said], turns: Turns) -> None:
        super().__init__(verifier, task)
        self._turns = turns
        self._recorded = {at: s for at, s in said.items() if (s.verifier, s.version) == (self.name, self.version)}

    async def verify(self, task: Task, candidate: Candidate, ctx: Context | None = None) -> Verdict:
        """What was recorded of this candidate, if it is the same one; else what the verifier says."""
        recorded = self._recorded.get(ctx.base) if ctx is not None else None
        if recorded is not None and recorded.candidate.text == candidate.text:
            return recorded.verdict
        with self._turns.judging():
            return await super().verify(task, candidate, ctx)

    async def foresee(self, candidate: Candidate) -> None:
        """Judge a candidate of the old run before it is asked about; an abstention is asked for again then."""
        if self.recorded(candidate) is None:
            verdict = await judge(self._verifier, self._task, candidate)
            if verdict.outcome != "abstain":
                self._said[candidate.text, candidate.reasoning, candidate.truncated, candidate.partial] = verdict

    def recorded(self, candidate: Candidate) -> Verdict | None:
        """What it said of a candidate of the old run; None if it was not asked."""
        return next((s.verdict for s in self._recorded.values() if s.candidate.id == candidate.id), None)


@dataclass
class Asked:
    """What a replay asked for."""

    missing: list[str] = field(default_factory=list[str])
    """Positions of what the record does not hold."""
    calls: int = 0
    """Model calls, verifiers' own not included."""
    output_tokens: int = 0


class ReplayJournal(MemoryJournal):
    """The record of a replay, in memory. Effects are answered from the old run; there is no other way to have one."""

    def __init__(self, spec: RunSpec, effects: Mapping[str, RecordedCall]) -> None:
        super().__init__(spec)
        self._effects_before = effects
        self._own: set[str] = set()
        self.asked = Asked()

    def call(self, position: str) -> RecordedCall | None:
        """What the replay itself, or of other effects the old run, has recorded at a position."""
        return super().call(position) or self._effects_before.get(position)

    async def write(self, *records: Record) -> None:
        """Take records in.

        Raises:
            GenerationFailed: an effect that is no model call would have to be done.
        """
        for record in records:
            if isinstance(record, Intent) and not record.engine:
                self.asked.missing.append(record.position)
                raise GenerationFailed(f"the run recorded no {record.kind} at {record.position}", code=NOT_RECORDED)
        await super().write(*records)

    def queue(self, *records: Record) -> None:
        """Take records in, and count."""
        super().queue(*records)
        for record in records:
            if isinstance(record, Intent) and record.purpose != "verifier":
                self._own.add(record.position)
            elif isinstance(record, Outcome):
                self._count_outcome(record)

    def _count_outcome(self, record: Outcome) -> None:
        if record.error_code == NOT_RECORDED:
            self.asked.missing.append(record.position)
        elif record.position in self._own and record.state in ("ok", "error"):
            self.asked.calls += 1
            self.asked.output_tokens += record.completion.tokens.completion if record.completion else 0


def same_verifier(before: Json, after: Json) -> bool:
    """Whether two descriptions are of one verifier. Versions tell of code, descriptions of arguments."""
    try:
        return canonical_json(before) == canonical_json(after)
    except (TypeError, ValueError):
        return before is after


def _keys(reader: Reader, rows: Sequence[CallRow]) -> dict[tuple[str, str | None], str]:
    """Keys of prompt and sampling, by their hashes: most calls share both."""
    pairs = {(row.request_sha, row.prompt_sha) for row in rows if row.engine}
    texts = reader.texts({sha for pair in pairs for sha in pair if sha})
    found: dict[tuple[str, str | None], str] = {}
    for pair in pairs:
        request: Any = json.loads(texts[pair[0]])
        found[pair] = stored_key(json.loads(texts[pair[1]]) if pair[1] else {}, request.get("sampling", {}))
    return found


def _recalled(row: CallRow, key: str, result: RecordedCall) -> Recalled:
    return Recalled(
        key=key,
        seed=row.seed,
        number=row.ended_seq or 0,
        completion=result.completion if row.state == "ok" else None,
        error_code=result.error_code if row.state in ("ok", "error") else NOT_RECORDED,
        error=result.error,
        judging=row.purpose == "verifier",
    )


def _candidates(reader: Reader, run_id: str) -> dict[str, Candidate]:
    rows = reader.candidates(run_id)
    texts = reader.texts({sha for row in rows for sha in (row.text_sha, row.reasoning_sha, row.answer_sha) if sha})
    return {
        row.position: Candidate(
            id=row.id,
            position=row.position,
            text=texts[row.text_sha],
            reasoning=texts[row.reasoning_sha] if row.reasoning_sha else "",
            kind=row.kind,
            parents=row.parents,
            depth=row.depth,
            finish_reason=row.finish_reason,
            partial=row.partial,
            call_id=row.call_id,
            answer=texts[row.answer_sha] if row.answer_sha else row.answer,
        )
        for row in rows
    }


def _said(reader: Reader, row: VerdictRow, candidate: Candidate) -> Said:
    verdict = Verdict(
        outcome=row.outcome,
        score=row.score,
        feedback=reader.text(row.feedback_sha) if row.feedback_sha else row.feedback,
        reason=row.reason,
        evidence=json.loads(reader.text(row.evidence_sha)) if row.evidence_sha else row.evidence,
        valid_prefix=row.valid_prefix,
    )
    return Said(verdict=verdict, candidate=candidate, verifier=row.verifier, version=row.version, grading=row.grading)


def prepared(task: Task, verifier: Rejudging | None, grader: Rejudging | None) -> Task:
    """The task with verifiers that remember. Where a description may stand, `make_verifier` takes a verifier as well."""
    changes: dict[str, Any] = {"verifier": verifier, "grader": grader}
    return replace(task, **changes)


def shown(text: str) -> str:
    """The beginning of a text, on one line."""
    return one_line(text, 80)
