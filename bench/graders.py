"""Graders of the micro-tasks that are more than declarative checks. They see the reference and give partial credit."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, cast

from ..core.candidate import Candidate
from ..core.task import Task
from ..core.verdict import Verdict
from ..verifiers.checks import has_word
from ..verifiers.sqlite_query import SqliteQuery
from .microdata import HIDDEN_SCHEMA

_SELECT = re.compile(r"(SELECT\b.*?)(;|\n\n|```|$)", re.DOTALL | re.IGNORECASE)
_SQL = SqliteQuery(extract="exact_text", hidden=({"schema": HIDDEN_SCHEMA},), digits=None)


def json_person(task: Task, text: str) -> Verdict:
    """A share of the score for each right value; unexpected keys cost a tenth."""
    person = cast("Mapping[str, Any]", task.reference)
    match = re.search(r"\{.*?\}", text, re.DOTALL)
    if not match:
        return Verdict.failed("no JSON object", reason="no_answer")
    try:
        found = cast("dict[str, Any]", json.loads(match.group(0)))
    except (ValueError, RecursionError):
        return Verdict.failed("not valid JSON", score=0.05, reason="not_json")
    problems = [problem for key, value in person.items() if (problem := _problem(found, key, value))]
    score = (len(person) - len(problems)) / len(person)
    if extra := [key for key in found if key not in person]:
        score = min(0.9, score)
        problems.append("unexpected keys: " + ", ".join(extra))
    return Verdict.failed("; ".join(problems), score=score) if problems else Verdict.passed()


def _problem(found: Mapping[str, Any], key: str, value: str | int) -> str | None:
    if key not in found:
        return f"missing key {key}"
    if type(found[key]) is not type(value):
        return f"{key} must be a {type(value).__name__}"
    same = found[key].strip().lower() == value.lower() if isinstance(value, str) else found[key] == value
    return None if same else f"{key} is wrong"


async def sql_one_table(task: Task, text: str) -> Verdict:
    """The reference's rows, on the visible and on the hidden database."""
    match = _SELECT.search(text.strip())
    if not match:
        return Verdict.failed("no SELECT statement", reason="no_answer")
    verdict = await _SQL.verify(task, Candidate.of(match.group(1)))
    if verdict.outcome != "fail":
        return verdict
    if verdict.reason not in ("mismatch", "too_large"):
        return verdict.but(score=0.1)
    return verdict.but(score=0.4 if verdict.evidence.get("same_count") else 0.3)


def passage_lookup(task: Task, text: str) -> Verdict:
    """The right word of the passage, and none of the others of its kind."""
    right, options = str(task.reference), cast("list[str]", task.context["options"])
    hit = has_word(text, right)
    if hit and not any(has_word(text, word) for word in options if word != right):
        return Verdict.passed()
    return Verdict.failed("the answer is not supported by the passage", score=0.3 if hit else 0.0)
