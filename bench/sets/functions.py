"""How a function of this folder is named as a task's grader or verifier."""

from __future__ import annotations

from collections.abc import Callable

from ...core.ids import Json


def grader(function: Callable[..., object]) -> dict[str, Json]:
    """The function as a grader: it sees the reference."""
    return _named(function, oracle=True)


def verifier(function: Callable[..., object]) -> dict[str, Json]:
    """The function as a verifier: the reference is withheld from it."""
    return _named(function, oracle=False)


def _named(function: Callable[..., object], *, oracle: bool) -> dict[str, Json]:
    # In this process: these functions are short and take time that grows linearly with the text.
    ref = f"{function.__module__}:{function.__name__}"
    return {"name": "python_function", "function": ref, "timeout": None, "oracle": oracle}
