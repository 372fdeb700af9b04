"""A scripted engine that pretends to solve small tasks, sometimes wrongly, so that everything can be tried without a model.

Arithmetic in the prompt is worked out; otherwise a quoted text, or the last line, is repeated.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import cast

from ..core.errors import ConfigError, GenerationFailed
from ..core.target import load_target
from .replies import Call, Replies, Reply
from .scripted import ScriptedEngine

_EXPRESSION = re.compile(r"-?\d{1,9}(?:\s*[-+*x×]\s*\d{1,9}){1,9}(?!\d)")
_TERM = re.compile(r"([-+*x×]?)\s*(\d+)")
_QUOTED = re.compile(r"[\"“]([^\"“”\n]+)[\"”]")


def pretender(accuracy: float, failures: float = 0.0) -> Callable[[Call], Reply]:
    """A reply function that is right with the probability `accuracy`, and fails with the probability `failures`."""

    def reply(call: Call) -> Reply:
        if call.random.random() < failures:
            return Reply(error=GenerationFailed("the scripted engine failed, as it was asked to", code="scripted"))
        right = answer(call.text)
        return Reply(call.rest(right if call.draw < accuracy else _wrong(right, call)))

    return reply


def answer(text: str) -> str:
    """The right answer to a prompt."""
    expressions = _EXPRESSION.findall(text)
    if expressions:
        return str(_value(expressions[-1]))
    quoted = _QUOTED.findall(text)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return quoted[-1] if quoted else lines[-1] if lines else ""


def scripted(
    model: str | None = None,
    *,
    replies: str = "pretend",
    accuracy: float = 0.6,
    failures: float = 0.0,
    latency: float = 0.0,
    tokens_per_second: float | None = None,
    max_running: int | None = None,
    sequence_tokens_per_second: float | None = None,
    log: str | None = None,
) -> ScriptedEngine:
    """The scripted engine of the command line.

    `replies` is `pretend`, or names a function, table or list: `module:attribute`, `file.py:attribute`.

    Raises:
        ConfigError: there are no such replies, or a number is out of range.
    """
    for name, value in (("accuracy", accuracy), ("failures", failures)):
        if not 0 <= value <= 1:
            raise ConfigError(f"{name} is {value}", hint="give a share from 0 to 1")
    own = replies != "pretend"
    return ScriptedEngine(
        cast("Replies", load_target(replies, what="set of replies")) if own else pretender(accuracy, failures),
        latency=latency,
        tokens_per_second=tokens_per_second,
        max_running=max_running,
        sequence_tokens_per_second=sequence_tokens_per_second,
        model=model or "scripted",
        settings={"replies": replies} if own else {"replies": replies, "accuracy": accuracy, "failures": failures},
        log=log,
    )


def _value(expression: str) -> int:
    """Value of whole numbers joined by signs, products first."""
    products: list[int] = []
    for sign, digits in _TERM.findall(expression):
        number = int(digits)
        if sign in ("", "+", "-"):
            products.append(-number if sign == "-" else number)
        else:
            products[-1] *= number
    return sum(products)


def _wrong(right: str, call: Call) -> str:
    """Another answer, near the right one; the nearest are the likeliest, so that votes gather on some."""
    rng = call.random
    if right.lstrip("-").isdigit():
        return str(int(right) + rng.choice((-10, -2, -1, -1, 1, 1, 2, 10)))
    words = right.split()
    if len(words) > 1:
        del words[rng.randrange(len(words))]
        return " ".join(words)
    return right[:-1] if len(right) > 1 else right + "?"
