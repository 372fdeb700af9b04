"""Auditing a verifier: what it says of answers of which is known whether they are right.

An audit is a batch called `audit/NAME`: one run for each task, whose candidates are the given answers, each with the
verifier's verdict and with the truth, a label or the grader's verdict, as a grading one. So it is read, resumed and shown
like all that is stored, and an audit that is stored is not done again.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

from ..core.errors import ConfigError
from ..core.ids import Json, canonical_json, json_hash
from ..core.result import Result
from ..core.task import Task
from ..core.text import one_line
from ..verifiers.registry import check_task, make_verifier

if TYPE_CHECKING:
    from ..session import Session
    from ..traces.reader import Reader
    from ..traces.views import BatchRow
    from .pool import Pool

PREFIX = "audit/"
ABOUT = "audit"
"""Key of a batch's configuration that says that it is an audit, and of what."""
ANSWERS = "audit_answers"
"""Key of a run's task metadata that holds the answers; taken out before a verifier sees the task."""
GRAPH = f"{__package__}.audit_graph:judged_answers"
NO_ENGINE = f"{__package__}.audit_graph:NoEngine"
"""Named as the engine where a verifier needs none."""
OWN = "task"
"""Stands for each task's own verifier."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """One answer to a task."""

    text: str
    right: bool | None = None
    """Whether it is right; None leaves that to the task's grader."""
    model: str = ""
    """What made it; empty if that is not known."""
    truncated: bool = False
    """Whether it was cut at its token limit."""
    reasoning: str = ""

    def to_json(self) -> dict[str, Json]:
        """Plain form, without fields left at their defaults."""
        known: dict[str, Json] = {} if self.right is None else {"right": self.right}
        rest: dict[str, Json] = {"model": self.model, "truncated": self.truncated, "reasoning": self.reasoning}
        return {"text": self.text, **known, **{name: value for name, value in rest.items() if value}}


@dataclass(frozen=True, kw_only=True)
class Order:
    """What is to be audited."""

    verifier: Json
    """A name or description as `make_verifier` reads it, or `task` for each task's own."""
    tasks: Sequence[Task]
    """Those that have answers; a task's `grader` judges the answers that say not whether they are right."""
    answers: Mapping[str, Sequence[Answer]]
    """By task id, in the order of the attempts."""
    sampled: bool = False
    """Whether the answers to a task are samples of one generator, in their order; else they may be chosen by hand."""
    source: str = ""
    """Where the answers come from, in words."""
    engine: Json = None
    """How the engine is made that a verifier may ask (`engine.registry.recipe`); None for one given in code."""
    name: str = ""
    """Under which it is stored; empty for one after the content, so that the same audit has the same name."""

    def __post_init__(self) -> None:
        if not self.tasks:
            raise ConfigError("no task has an answer to be judged", hint="give answers, right and wrong ones")
        if bare := [task.id for task in self.tasks if self._spec(task) is None]:
            whose = f"the task {one_line(bare[0])} has no verifier of its own"
            more = f", nor have {len(bare) - 1} more of {len(self.tasks)}" if len(bare) > 1 else ""
            raise ConfigError(whose + more, hint="name a verifier in place of task, such as one of: burnish verifiers")
        for task in self.tasks:
            self._check(task)
        if not self.name:
            object.__setattr__(self, "name", f"{self.judge}-{self.digest[:8]}")
        if not self.name.strip() or len(self.name) > 100:
            raise ConfigError(f"{one_line(self.name, 40)!r} is no name for an audit", hint="1 to 100 characters")

    @property
    def judge(self) -> str:
        """The verifier's name."""
        return "task" if self.verifier == OWN else make_verifier(self.verifier).name

    @cached_property
    def digest(self) -> str:
        """A hash of all that decides on the verdicts."""
        made = {t.id: [a.to_json() for a in self.answers[t.id]] for t in self.tasks}
        return json_hash([[t.to_json() for t in self.tasks], self.keys(), made, self.sampled, self.engine])

    def keys(self) -> dict[str, str]:
        """By task id, which verifier judges it (`judge_key`)."""
        return {t.id: judge_key(self._spec(t)) for t in self.tasks}

    def prepared(self) -> list[Task]:
        """The tasks as their runs get them: with the verifier, and with the answers."""
        return [
            replace(
                t,
                verifier=self._spec(t),
                sampling={},  # Nothing is sampled, so no engine has to be able to.
                metadata={**t.metadata, ANSWERS: [a.to_json() for a in self.answers[t.id]]},
            )
            for t in self.tasks
        ]

    def to_json(self) -> dict[str, Json]:
        """What is stored with the batch."""
        return {
            "name": self.name,
            "judge": self.judge,
            "verifier": self.verifier,
            "source": self.source,
            "sampled": self.sampled,
            "keys": self.keys(),
            "digest": self.digest,
        }

    def _spec(self, task: Task) -> Json:
        return task.verifier if self.verifier == OWN else self.verifier

    def _check(self, task: Task) -> None:
        if task.grader is None and any(a.right is None for a in self.answers[task.id]):
            raise ConfigError(
                f"nothing says which answers to the task {one_line(task.id)} are right",
                hint='give "right": true or false with each answer, or --grader NAME',
            )
        for what, judge in (("verifier", self._spec(task)), ("grader", task.grader)):
            try:
                if judge is not None:
                    check_task(make_verifier(judge), task)
            except ConfigError as e:
                raise ConfigError(f"the task {one_line(task.id)}: {what}: {e.message}", hint=e.hint) from None


def judge_key(spec: Json) -> str:
    """What a verifier is known by: description, name and version. It changes when the verifier judges differently."""
    verifier = make_verifier(spec)
    return json_hash([canonical_json(spec), verifier.name, verifier.version])[:16]


def unpacked(task: Task) -> tuple[list[Answer], Task]:
    """The answers that the task of an audit's run holds, and the task without them."""
    metadata = dict(task.metadata)
    listed = cast("Sequence[Mapping[str, Any]]", metadata.pop(ANSWERS, ()))
    return [Answer(**fields) for fields in listed], replace(task, metadata=metadata)


def pool_answers(pool: Pool, *, grades: bool = True) -> dict[str, list[Answer]]:
    """The samples of a pool as answers, by task id. With `grades` they are right where the pool's grader said so."""
    return {
        d.task.id: [
            Answer(
                text=s.completion.text,
                right=s.right if grades else None,
                model=pool.info.model,
                truncated=s.completion.finish_reason == "length",
                reasoning=s.completion.reasoning,
            )
            for s in d.samples
        ]
        for d in pool.drawn
        if d.samples
    }


def audit_batches(reader: Reader) -> list[BatchRow]:
    """The batches that are audits, the newest first, of each name the newest.

    One that was cut short before all of its runs were stored is none.
    """
    found: dict[str, BatchRow] = {}
    for batch in reader.batches():
        keys = about(batch).get("keys", {})
        if batch.name.startswith(PREFIX) and keys and len(keys) == batch.runs:
            found.setdefault(batch.name, batch)
    return list(found.values())


def about(batch: BatchRow) -> Mapping[str, Any]:
    """What is stored of an audit (`Order.to_json`); empty for a batch that is none."""
    value = batch.config.get(ABOUT)
    return cast("Mapping[str, Any]", value) if isinstance(value, Mapping) else {}


def begun(reader: Reader, order: Order) -> BatchRow | None:
    """The stored audit of this name; None if there is none, or an unfinished one of something else, which this one replaces.

    Raises:
        ConfigError: it is finished, and of other answers, tasks or graders, or of another verifier or engine.
    """
    for batch in audit_batches(reader):
        if batch.name != PREFIX + order.name:
            continue
        if about(batch).get("digest") == order.digest:
            return batch
        if batch.done == batch.runs:
            what = "verifier, tasks, answers or engine are others"
            raise ConfigError(f"there is an audit {one_line(order.name)!r}, but {what}", hint="give this one another --name")
    return None


async def carry_out(
    session: Session, order: Order, before: BatchRow | None, on_start: Callable[[str], None]
) -> AsyncIterator[Result]:
    """Judge what is not judged yet; gives the result of each task's run as it comes."""
    if before is None:
        name, config = PREFIX + order.name, {ABOUT: order.to_json()}
        results = session.batch(GRAPH, order.prepared(), name=name, about=config, on_start=on_start)
    else:
        on_start(before.id)
        results = session.resume_all(session.store.reader().unfinished(before.id))
    async for result in results:
        yield result
