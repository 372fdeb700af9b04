"""A stored pool: samples of each task, drawn once, that methods which only select or stop are compared on.

A pool is a batch of the graph `draw`, called `pool/NAME`. What is read here is what was generated; nothing is filled in.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from ..core.completion import Completion
from ..core.engine import Capabilities, EngineInfo, engine_difference
from ..core.errors import ConfigError
from ..core.ids import Json
from ..core.runs import RunSpec
from ..core.task import Task
from ..core.text import one_line
from ..core.verdict import Verdict
from ..engine.recorded import stored_key

if TYPE_CHECKING:
    from ..traces.reader import Reader
    from ..traces.views import BatchRow, CallRow, VerdictRow

PREFIX = "pool/"
ABOUT = "pool"
"""Key of a batch's configuration that says that it is a pool, and of which tasks."""


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One stored completion."""

    completion: Completion
    seconds: float | None
    """From sending to result, beside the calls that were in flight with it; None if it was not measured."""
    answer: str | None
    """Key of the extracted answer; None if none could be extracted."""
    grade: Verdict | None
    """What the task's grader said when it was drawn; None if it was not asked."""
    graded_by: tuple[str, str] | None
    """Name and version of that grader."""

    @property
    def right(self) -> bool | None:
        """Whether the grader passed it; None if it abstained or was not asked."""
        return None if self.grade is None or self.grade.outcome == "abstain" else self.grade.outcome == "pass"


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """What was drawn for one task."""

    task: Task
    key: str
    """Name of its prompt and sampling (`engine.recorded.pool_key`); empty if no sample came to be."""
    samples: Sequence[Sample]
    """In the order of drawing; fewer than the pool's `k` where calls failed."""


@dataclass(frozen=True, kw_only=True)
class Pool:
    """All samples of a pool."""

    name: str
    batch_id: str
    info: EngineInfo
    """The engine that drew it."""
    recipe: Json
    """How that engine was made."""
    k: int
    """Samples asked for, for each task."""
    seed: int
    """What the seeds of all samples derive from."""
    settings: Mapping[str, Json]
    """Settings of the graph `draw`: system text, token limit, temperature, ..."""
    drawn: Sequence[Drawn]
    """One for each task, in the tasks' order."""

    @property
    def tasks(self) -> list[Task]:
        """The tasks, in their order."""
        return [d.task for d in self.drawn]

    @staticmethod
    def read(reader: Reader, name: str) -> Pool:
        """Read a pool, whole.

        Raises:
            ConfigError: there is no such pool, it is not finished, or not one engine drew it.
            StoreError: a stored text is missing or damaged.
        """
        batch = pool_batch(reader, name)
        rows = {row.task_id: row.id for row in reader.runs(batch=batch.id, limit=batch.runs)}
        if batch.done < batch.runs:
            raise ConfigError(
                f"the pool {one_line(name)!r} is unfinished: {batch.runs - batch.done} of {batch.runs} tasks are not drawn",
                hint=f"go on with the command that began it: burnish pool draw {one_line(name)} ...",
            )
        specs = [reader.spec(rows[task_id]) for task_id in task_ids(batch)]
        info, recipe = _one_engine(name, specs)
        settings = specs[0].settings
        return Pool(
            name=name,
            batch_id=batch.id,
            info=info,
            recipe=recipe,
            k=cast("int", settings["n"]),
            seed=cast("int", batch.config.get("seed", 0)),
            settings=settings,
            drawn=[_drawn(reader, spec) for spec in specs],
        )

    def check_model(self, name: str) -> None:
        """Check that a model asked for is the one that the pool was drawn by.

        Raises:
            ConfigError: it is another one.
        """
        given = self.recipe.get("model") if isinstance(self.recipe, Mapping) else None
        here = Path(name).expanduser()
        if name not in (self.info.model, given) and not (here.exists() and str(here.resolve()) in (self.info.model, given)):
            raise ConfigError(
                f"the pool {one_line(self.name)!r} was drawn by {one_line(self.info.model)}, not by {one_line(name)}",
                hint="draw one by that model: burnish pool draw NAME --model MODEL ...",
            )


def pool_batches(reader: Reader) -> list[BatchRow]:
    """The batches that are pools, the newest first, of each name the newest.

    One that was cut short before all of its runs were stored is none.
    """
    found: dict[str, BatchRow] = {}
    for batch in reader.batches():
        tasks = task_ids(batch)
        if tasks and len(tasks) == batch.runs and batch.name.startswith(PREFIX):
            found.setdefault(batch.name, batch)
    return list(found.values())


def pool_batch(reader: Reader, name: str) -> BatchRow:
    """The batch of a pool.

    Raises:
        ConfigError: there is no such pool.
    """
    pools = pool_batches(reader)
    for batch in pools:
        if batch.name == PREFIX + name:
            return batch
    known = ", ".join(one_line(b.name.removeprefix(PREFIX)) for b in pools[:10])
    hint = f"one of: {known}" if known else "draw one: burnish pool draw NAME --tasks FILE.jsonl"
    raise ConfigError(f"there is no pool {one_line(name)!r}", hint=hint)


def task_ids(batch: BatchRow) -> list[str]:
    """Ids of a pool's tasks, in their order."""
    about = batch.config.get(ABOUT)
    ids: object = about.get("tasks") if isinstance(about, Mapping) else None
    return [str(i) for i in cast("list[object]", ids)] if isinstance(ids, list) else []


def _one_engine(name: str, specs: Sequence[RunSpec]) -> tuple[EngineInfo, Json]:
    first = specs[0].engines.get("default")
    for spec in specs:
        other = spec.engines.get("default")
        if not isinstance(first, Mapping) or not isinstance(other, Mapping):
            raise ConfigError(f"the pool {one_line(name)!r} does not say which engine drew it", hint="draw it anew")
        if differ := engine_difference(first, other):
            raise ConfigError(
                f"several engines drew the pool {one_line(name)!r}: {differ}",
                hint="draw it anew under another name",
            )
    assert isinstance(first, Mapping)
    return engine_info(first), first.get("recipe")


def engine_info(stored: Mapping[str, Any]) -> EngineInfo:
    """What an engine was, from what is stored of it with a run."""
    known = {n: True for n in stored["capabilities"] if n in Capabilities.__dataclass_fields__}
    fields = {k: stored[k] for k in ("kind", "model", "revision", "version", "context_tokens", "settings")}
    return EngineInfo(**fields, capabilities=Capabilities(**known))


def _drawn(reader: Reader, spec: RunSpec) -> Drawn:
    """The samples of one task's run. Calls that a grader made are no samples."""
    calls = [c for c in reader.calls(spec.id) if c.kind == "generate" and c.state == "ok" and not c.purpose]
    completions = reader.completions(spec.id)
    made = {c.call_id: c for c in reader.candidates(spec.id)}
    graded = {v.candidate_id: v for v in reader.verdicts(spec.id) if v.grading}
    samples: list[Sample] = []
    for call in calls:
        candidate = made.get(call.id)
        verdict = graded.get(candidate.id) if candidate else None
        answer = (reader.text(candidate.answer_sha) if candidate.answer_sha else candidate.answer) if candidate else None
        samples.append(
            Sample(
                completion=completions[call.position],
                seconds=call.seconds,
                answer=answer,
                grade=_verdict(verdict) if verdict else None,
                graded_by=(verdict.verifier, verdict.version) if verdict else None,
            )
        )
    return Drawn(task=spec.task, key=_key(reader, calls[0]) if calls else "", samples=samples)


def _key(reader: Reader, call: CallRow) -> str:
    """The key of a call. All calls of a draw are samples of one request, which is stored once."""
    request, prompt = (json.loads(reader.text(sha or "")) for sha in (call.request_sha, call.prompt_sha))
    return stored_key(prompt, request["sampling"])


def _verdict(row: VerdictRow) -> Verdict:
    return Verdict(outcome=row.outcome, score=row.score, feedback=row.feedback, reason=row.reason, valid_prefix=row.valid_prefix)
