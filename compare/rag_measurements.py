"""Measured configurations of RAG graphs out of the store: what `burnish rag fit` is fitted on.

A run counts with its graph's settings `documents`, `shots` (0 without it) and `iterations` (1 without it), with the score that
its task's grader gave the answer, and with the prompt tokens of its calls, those of verifiers left out. A configuration's score
is the mean over tasks of the mean over runs, its length the longest of any run: a limit holds for every question.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from ..core.errors import ConfigError
from ..core.ids import Json
from ..core.text import one_line
from ..graphs.registry import BUILTIN, check_settings
from ..stats.allocation_fit import Measurement
from ..stats.effective_length import Configuration

if TYPE_CHECKING:
    from ..traces.reader import Reader
    from ..traces.views import RunRow

GRAPHS = ("drag", "iter_drag")
"""Graphs whose runs are taken where none are named."""
_PAGE = 500

Key: TypeAlias = tuple[str, Configuration]


@dataclass(kw_only=True)
class Gathered:
    """What was found."""

    measurements: list[Measurement] = field(default_factory=list[Measurement])
    runs: int = 0
    """Runs that count."""
    left_out: Counter[str] = field(default_factory=Counter[str])
    """Runs that do not, by why."""
    uneven: list[str] = field(default_factory=list[str])
    """Data sets whose configurations were not all measured on the same tasks."""


@dataclass(kw_only=True)
class _Cell:
    """The runs of one configuration on one data set."""

    scores: dict[str, list[float]] = field(default_factory=dict[str, list[float]])
    """By task."""
    tokens: int = 0
    """The most of any run."""


def gather(
    reader: Reader, *, graphs: Sequence[str] = GRAPHS, batches: Sequence[str | None] = (None,), scorer: str = ""
) -> Gathered:
    """The measurements in a store.

    Args:
        reader: of the store.
        graphs: names of the graphs whose runs count.
        batches: ids of batches; None for all runs.
        scorer: a scorer in the evidence of the graders' verdicts, such as `flashrag.f1`; empty for the verdicts' scores.

    Raises:
        ConfigError: a setting is no number of documents, shots or iterations.
    """
    found, cells = Gathered(), dict[Key, _Cell]()
    for rows in _pages(reader, graphs, batches):
        tokens = _prompt_tokens(reader, [row.id for row in rows])
        for row in rows:
            counted = _counted(reader, row, scorer)
            if isinstance(counted, str):
                found.left_out[counted] += 1
                continue
            key, score = counted
            cell = cells.setdefault(key, _Cell())
            cell.scores.setdefault(row.task_id, []).append(score)
            cell.tokens = max(cell.tokens, tokens.get(row.id, 0))
            found.runs += 1
    found.measurements = [_measured(key, cell) for key, cell in cells.items()]
    tasks: dict[str, set[frozenset[str]]] = {}
    for (dataset, _), cell in cells.items():
        tasks.setdefault(dataset, set()).add(frozenset(cell.scores))
    found.uneven = sorted(dataset for dataset, several in tasks.items() if len(several) > 1)
    return found


def _measured(key: Key, cell: _Cell) -> Measurement:
    dataset, configuration = key
    score = fmean(fmean(scores) for scores in cell.scores.values())
    return Measurement(dataset=dataset, configuration=configuration, score=score, tokens=cell.tokens or None)


def _pages(reader: Reader, graphs: Sequence[str], batches: Sequence[str | None]) -> Iterable[list[RunRow]]:
    for batch in batches:
        for graph in graphs:
            before: str | None = None
            while rows := reader.runs(batch=batch, graph=graph, limit=_PAGE, before=before):
                before = rows[-1].id
                yield rows


def _counted(reader: Reader, row: RunRow, scorer: str) -> tuple[Key, float] | str:
    """Where a run counts and its score, or why it does not."""
    if row.status != "done":
        return f"{row.status}"
    spec = reader.spec(row.id)
    if spec.task.grader is None:
        return "without a grader"
    settings = _settings(row.graph, spec.settings)
    if settings.get("documents") is None:
        return "without the setting documents"
    configuration = _configuration(row.graph, settings)
    score = 0.0 if row.candidate_id is None else _score(reader, row, scorer)
    if score is None:
        return f"with no grade by {scorer}" if scorer else "with no grade"
    name = spec.task.metadata.get("set")
    return (name if isinstance(name, str) and name else "tasks", configuration), score


def _settings(graph: str, given: Mapping[str, Json]) -> Mapping[str, Any]:
    """Settings as given; of a built-in graph with its defaults."""
    return check_settings(BUILTIN[graph], given).model_dump() if graph in BUILTIN else given


def _configuration(graph: str, settings: Mapping[str, Any]) -> Configuration:
    try:
        return Configuration(settings["documents"], settings.get("shots", 0), settings.get("iterations", 1))
    except ConfigError as e:
        raise ConfigError(f"a run of {one_line(graph, 200)}: {e.message}", hint=e.hint) from None


def _score(reader: Reader, row: RunRow, scorer: str) -> float | None:
    grades = [v for v in reader.verdicts(row.id) if v.grading and v.candidate_id == row.candidate_id]
    if not grades or grades[-1].outcome == "abstain":
        return None
    newest = grades[-1]
    if not scorer:
        return newest.score if newest.score is not None else float(newest.outcome == "pass")
    evidence = json.loads(reader.text(newest.evidence_sha)) if newest.evidence_sha else newest.evidence
    scores: Any = cast("Mapping[str, Any]", evidence).get("scores")
    value: Any = cast("Mapping[str, Any]", scores).get(scorer) if isinstance(scores, Mapping) else None
    if value is None and newest.reason in ("empty", "no_answer"):
        return 0.0
    return float(value) if isinstance(value, int | float) else None


def _prompt_tokens(reader: Reader, runs: Sequence[str]) -> dict[str, int]:
    """Prompt tokens of each run's own calls: its effective context length."""
    from sqlalchemy import func, select

    from ..traces import schema as s

    c = s.call.c
    query = (
        select(c.run_id, func.sum(c.prompt_tokens).label("tokens"))
        .where(c.run_id.in_(runs), c.engine != "", c.purpose != "verifier", c.state.in_(("ok", "error", "cancelled")))
        .group_by(c.run_id)
    )
    return {row["run_id"]: int(row["tokens"]) for row in reader.rows(query)}
