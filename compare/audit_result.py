"""What an audit found, read from the store and counted: nothing is counted anywhere else.

Rates over answers have Wilson's interval. Where a task has several answers they tend to be judged alike, so the rates over
tasks, with whole tasks resampled, are the ones to rely on.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ..core.errors import ConfigError
from ..core.ids import Json
from ..core.text import one_line
from ..core.verdict import Outcome
from ..stats import Audit, Interval, rate_over_tasks, wilson
from ..stats.verifier_quality import Rate
from .audit import PREFIX, about, audit_batches, unpacked

if TYPE_CHECKING:
    from ..traces.reader import Reader
    from ..traces.views import BatchRow


@dataclass(frozen=True, kw_only=True)
class Judged:
    """One answer of an audit."""

    task_id: str
    model: str
    """Empty if it is not known what made the answer."""
    attempt: int
    """Which of the task's answers by that model it is, from 1."""
    said: Outcome
    """The verifier's verdict."""
    reason: str
    """Its reason code."""
    right: bool | None
    """What is true; None if the grader abstained."""
    score: float | None = None
    """The verifier's score; None if it gave none."""


@dataclass(frozen=True, kw_only=True)
class Rates:
    """A verifier's errors on some answers."""

    audit: Audit

    @staticmethod
    def of(judged: Iterable[Judged]) -> Rates:
        """The errors on those answers of which the truth is known."""
        return Rates(audit=_audit(judged))

    @property
    def false_accepts(self) -> Interval | None:
        """Of the wrong answers those that passed; None without wrong ones."""
        return _share(self.audit.accepted_wrong, self.audit.wrong)

    @property
    def false_rejects(self) -> Interval | None:
        """Of the right answers those that failed; None without right ones."""
        return _share(self.audit.rejected_right, self.audit.right)

    @property
    def abstentions(self) -> Interval | None:
        """Of all answers those that were not judged; None without answers."""
        return _share(self.audit.abstained, self.audit.right + self.audit.wrong)


@dataclass(frozen=True, kw_only=True)
class AuditResult:
    """An audit as it is stored."""

    name: str
    batch_id: str
    created_ns: int
    verifier: Json
    """As it was described; `task` for each task's own."""
    verifiers: Sequence[tuple[str, str]]
    """Names and versions of those that judged."""
    oracle: bool
    """Whether one of them sees the reference."""
    source: str
    """Where the answers come from."""
    sampled: bool
    """Whether they are samples of one generator, in their order."""
    keys: Mapping[str, str]
    """By task id, which verifier judged it (`audit.judge_key`)."""
    judged: Sequence[Judged]

    @staticmethod
    def read(reader: Reader, name: str) -> AuditResult:
        """Read a stored audit.

        Raises:
            ConfigError: there is none of this name, or it is not finished.
        """
        batches = audit_batches(reader)
        for batch in batches:
            if batch.name == PREFIX + name:
                return AuditResult.of(reader, batch)
        known = ", ".join(one_line(b.name.removeprefix(PREFIX)) for b in batches[:10])
        hint = f"one of: {known}" if known else "burnish verifiers check VERIFIER --tasks FILE --answers FILE"
        raise ConfigError(f"there is no audit {one_line(name)!r}", hint=hint)

    @staticmethod
    def of(reader: Reader, batch: BatchRow) -> AuditResult:
        """Read the audit of a batch.

        Raises:
            ConfigError: it is not finished.
        """
        name, config = batch.name.removeprefix(PREFIX), about(batch)
        if batch.done < batch.runs:
            raise ConfigError(
                f"the audit {one_line(name)!r} is unfinished: {batch.runs - batch.done} of {batch.runs} tasks are not judged",
                hint="go on with the command that began it",
            )
        judged: list[Judged] = []
        verifiers: dict[tuple[str, str], bool] = {}
        for run_id, said in sorted(_verdicts(reader, batch.id).items()):
            answers, task = unpacked(reader.task(run_id))
            attempts = Counter[str]()
            for number, verdict in sorted(said.items()):
                model = answers[number].model
                attempts[model] += 1
                verifiers[verdict["verifier"], verdict["version"]] = verdict["oracle"]
                facts = {name: verdict[name] for name in ("said", "reason", "right", "score")}
                judged.append(Judged(task_id=task.id, model=model, attempt=attempts[model], **facts))
        return AuditResult(
            name=name,
            batch_id=batch.id,
            created_ns=batch.created_ns,
            verifier=config["verifier"],
            verifiers=list(verifiers),
            oracle=any(verifiers.values()),
            source=str(config["source"]),
            sampled=bool(config["sampled"]),
            keys=config["keys"],
            judged=judged,
        )

    @property
    def ungraded(self) -> int:
        """Answers of which the grader could not say whether they are right; they count nowhere."""
        return sum(j.right is None for j in self.judged)

    @property
    def reasons(self) -> dict[str, int]:
        """Why the verifier abstained, how often."""
        return dict(Counter(j.reason for j in self.judged if j.said == "abstain").most_common())

    @property
    def models(self) -> list[str]:
        """What made the answers, where it is known."""
        return list(dict.fromkeys(j.model for j in self.judged if j.model))

    def by_model(self) -> dict[str, Rates]:
        """The rates for each model's answers; those of unknown origin under an empty name."""
        return {m: Rates.of(found) for m, found in _grouped(self.judged, lambda j: j.model).items()}

    def by_attempt(self) -> dict[tuple[int, int], Rates]:
        """The rates for the first answers, the second ones, ..., later ones in groups: by the first and last attempt."""
        return {span: Rates.of(found) for span, found in _grouped(self.judged, lambda j: _span(j.attempt)).items()}

    def first_accepts(self) -> dict[tuple[int, int], tuple[int, int]]:
        """Of sampling until an accept, where it came: right and wrong ones, by spans of attempts as `by_attempt`."""
        found: dict[tuple[int, int], tuple[int, int]] = defaultdict(lambda: (0, 0))
        for answers in self._units.values():
            first = next((j for j in answers if j.said == "pass"), None)
            if first is not None and first.right is not None:
                right, wrong = found[_span(first.attempt)]
                found[_span(first.attempt)] = (right + first.right, wrong + (not first.right))
        return dict(found)

    def over_tasks(self, rate: Rate) -> Interval | None:
        """A rate with its interval over tasks; None if too few answers or tasks say anything about it."""
        by_task = _grouped(self.judged, lambda j: j.task_id)
        try:
            return rate_over_tasks([_audit(found) for found in by_task.values()], rate)
        except ConfigError:
            return None

    @cached_property
    def samples(self) -> list[Audit]:
        """One audit for each task; empty if the answers are no samples."""
        audits = [_audit(found) for found in self.units] if self.sampled else []
        return [a for a in audits if a.right + a.wrong]

    @property
    def units(self) -> list[list[Judged]]:
        """The answers that one model gave to one task, together, in the order of the attempts."""
        return list(self._units.values())

    @cached_property
    def _units(self) -> dict[tuple[str, str], list[Judged]]:
        return _grouped(self.judged, lambda j: (j.task_id, j.model))


def _audit(judged: Iterable[Judged]) -> Audit:
    return Audit.of((j.said, j.right) for j in judged if j.right is not None)


def _share(events: int, trials: int) -> Interval | None:
    return wilson(events, trials) if trials else None


def _grouped(judged: Sequence[Judged], key: Callable[[Judged], Any]) -> dict[Any, list[Judged]]:
    groups: dict[Any, list[Judged]] = defaultdict(list)
    for j in judged:
        groups[key(j)].append(j)
    return dict(sorted(groups.items()))


def _span(attempt: int) -> tuple[int, int]:
    """Attempts 1 to 4 alone, then 5 to 8, 9 to 16, ..."""
    if attempt <= 4:
        return attempt, attempt
    last = 1 << (attempt - 1).bit_length()
    return last // 2 + 1, last


def _verdicts(reader: Reader, batch_id: str) -> dict[str, dict[int, dict[str, Any]]]:
    """What was said of each answer and what is true of it, by run and the answer's number: all of it in one query."""
    from sqlalchemy import select

    from ..traces.schema import candidate, run, verdict

    v = verdict.c
    query = (
        select(v.run_id, v.verifier, v.version, v.oracle, v.grading, v.outcome, v.reason, v.score, candidate.c.position)
        .join_from(verdict, run, v.run_id == run.c.id)
        .join(candidate, candidate.c.id == v.candidate_id)
        .where(run.c.batch_id == batch_id)
    )
    found: dict[str, dict[int, dict[str, Any]]] = defaultdict(lambda: defaultdict(dict))
    for row in reader.rows(query):
        outcome, facts = row["outcome"], found[row["run_id"]][int(row["position"].rpartition("/a")[2])]
        if row["grading"]:
            facts["right"] = None if outcome == "abstain" else outcome == "pass"
        else:
            facts |= {"said": outcome, **{name: row[name] for name in ("reason", "score", "verifier", "version", "oracle")}}
    return found
