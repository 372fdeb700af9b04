"""The worker's side of the `python_function` verifier, and the check of what such a function returns."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import Any, cast

from ..core.errors import VerifierFailed
from ..core.ids import as_json
from ..core.target import load_target
from ..core.task import Task
from ..core.verdict import Verdict


def run(ref: str, task: dict[str, Any], text: str) -> dict[str, Any]:
    """Call the function that `ref` names; its verdict in plain form."""
    function = cast("Callable[[Task, str], object]", load_target(ref, what="function"))
    value = function(Task.from_json(task), text)
    if inspect.isawaitable(value):
        import asyncio

        value = asyncio.run(_awaited(cast("Awaitable[object]", value)))
    return plain(value)


async def _awaited(value: Awaitable[object]) -> object:
    return await value


def plain(value: object) -> dict[str, Any]:
    """What a user's function returned, as the fields of a verdict, in plain JSON.

    Raises:
        VerifierFailed: it is no verdict, or one with fields of the wrong type.
    """
    verdict = Verdict.of(value)
    cut: object = verdict.valid_prefix
    for name, field, kind in (
        ("feedback", verdict.feedback, str),
        ("reason", verdict.reason, str),
        ("evidence", verdict.evidence, dict),
        ("valid_prefix", 0 if cut is None else cut, int),
    ):
        if not isinstance(cast("object", field), kind):
            raise VerifierFailed(f"the verdict's {name} is a {type(field).__name__}", code="bad_return")
    if isinstance(cut, int) and cut < 0:
        raise VerifierFailed(f"the verdict's valid_prefix is {cut}", code="bad_return")
    return {
        "outcome": str(verdict.outcome),
        "score": None if verdict.score is None else float(verdict.score),
        "feedback": str(verdict.feedback),
        "reason": str(verdict.reason),
        "evidence": as_json(verdict.evidence),
        "valid_prefix": cut,
    }
