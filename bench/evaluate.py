"""A named evaluation: one graph on many tasks, done once. A finished one is read from the store, a cut one is gone on with.

All numbers come from the stored trace: nothing is counted that another program could not count again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..core.ids import Json
from ..core.runs import Usage
from ..core.task import Task
from ..core.text import one_line
from .report import say

if TYPE_CHECKING:
    from ..session import Session
    from ..traces.reader import Reader
    from ..traces.views import RunRow


@dataclass(frozen=True, kw_only=True)
class Method:
    """One row of a comparison."""

    name: str
    """Shown, and the end of the batch's name."""
    graph: str
    settings: Mapping[str, Json]
    oracle: bool = False
    """Whether the grader is the verifier too."""

    def prepared(self, tasks: Iterable[Task]) -> list[Task]:
        """The tasks as this method sees them."""
        from dataclasses import replace

        return [replace(t, verifier=t.grader) for t in tasks] if self.oracle else list(tasks)


@dataclass(frozen=True, kw_only=True)
class Graded:
    """One task's end."""

    task_id: str
    run_id: str
    passed: bool
    """What the grader says of the answer returned; False where there is none."""
    outcome: str
    """`verified`, `rejected`, `unverified`, `no_answer`, or why the run failed."""
    rejected: int
    """Candidates that the verifier failed."""
    usage: Usage


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What one method did on all tasks."""

    method: str
    graded: Sequence[Graded]
    seconds: float
    """Time in which at least one of its runs was under way."""

    @property
    def passes(self) -> list[bool]:
        """For each task, in their order, whether its answer is right."""
        return [g.passed for g in self.graded]

    def total(self, field: str) -> int:
        """A sum over the runs' usage."""
        return sum(getattr(g.usage, field) for g in self.graded)

    @property
    def cached_share(self) -> float:
        """Share of the prompt tokens that the engine's prefix cache held."""
        return self.total("cached_tokens") / (self.total("prompt_tokens") or 1)


def batch_name(prefix: str, method: Method) -> str:
    """The name of a method's batch."""
    return f"{prefix}/{method.name}"


def finished(reader: Reader, name: str, tasks: int) -> bool:
    """Whether a batch of this name is there, whole and done."""
    return any(b.name == name and b.runs == b.done == tasks for b in reader.batches())


async def carry_out(session: Session, method: Method, tasks: Sequence[Task], *, prefix: str, seed: int) -> None:
    """Do what is not done yet of one evaluation.

    Raises:
        BurnishError: a run failed; what was recorded stays, and the same call goes on from there.
    """
    name, reader = batch_name(prefix, method), session.store.reader()
    done = _progress(method.name, len(tasks))
    begun = next((b for b in reader.batches() if b.name == name and b.runs == len(tasks)), None)
    if begun is not None:
        results = session.resume_all(reader.unfinished(begun.id))
    else:
        prepared = method.prepared(tasks)
        results = session.batch(method.graph, prepared, settings=method.settings, seed=seed, name=name)
    failures: list[str] = []
    async for result in results:
        done()
        if result.error is not None:
            if result.error.code == "cancelled" or session.stop.requested:
                raise result.error
            failures.append(f"{result.task_id}: {result.error}")
    if failures:
        say(f"  {len(failures)} runs failed, the first: {one_line(failures[0], 300)}")


def read(reader: Reader, method: Method, tasks: Sequence[Task], *, prefix: str) -> Evaluation:
    """The evaluation as stored."""
    name = batch_name(prefix, method)
    batch = next(b for b in reader.batches() if b.name == name and b.runs == len(tasks))
    rows = {row.task_id: row for row in reader.runs(batch=batch.id, limit=len(tasks))}
    ordered = [rows[task.id] for task in tasks]
    usages = reader.usages([row.id for row in ordered])
    graded = [_graded(reader, row, usages[row.id]) for row in ordered]
    return Evaluation(method=method.name, graded=graded, seconds=_covered([(r.started_ns, r.ended_ns) for r in ordered]))


def _graded(reader: Reader, row: RunRow, usage: Usage) -> Graded:
    verdicts = reader.verdicts(row.id)
    return Graded(
        task_id=row.task_id,
        run_id=row.id,
        passed=any(v.grading and v.candidate_id == row.candidate_id and v.outcome == "pass" for v in verdicts),
        outcome=row.outcome or row.error_code,
        rejected=sum(v.outcome == "fail" and not v.grading for v in verdicts),
        usage=usage,
    )


def _covered(spans: Iterable[tuple[int | None, int | None]]) -> float:
    """Seconds that lie within at least one of the spans, which are in nanoseconds."""
    total, until = 0, 0
    for start, end in sorted((s, e) for s, e in spans if s is not None and e is not None):
        total += max(0, end - max(start, until))
        until = max(until, end)
    return total / 1e9


def _progress(name: str, total: int) -> Callable[[], None]:
    """Says how far it is, at every quarter."""
    done = 0

    def one() -> None:
        nonlocal done
        done += 1
        if done * 4 // total != (done - 1) * 4 // total:
            say(f"  {name}: {done} of {total}")

    return one
