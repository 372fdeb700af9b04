"""What is said of tests that did not go through: why, at which statement, after which call."""

from __future__ import annotations

import ast
import os
import reprlib
import signal
import time
import traceback
from collections.abc import Mapping, Sequence

from . import values, wire
from .peer import Remote, kind_of

FATAL = (wire.Closed, wire.Late, wire.TooLong, values.Unreadable)
"""What breaks the connection to the code; nothing more can be asked of it."""


class Ended(Exception):
    """The verdict stands before the tests are through."""

    def __init__(self, reason: str, error: str, outcome: str = "fail") -> None:
        super().__init__(reason)
        self.reason, self.error, self.outcome = reason, error, outcome


def broken(error: BaseException, code: int, seconds: float) -> Ended:
    """Why the connection to the code, the process `code`, is broken."""
    if isinstance(error, wire.Late):
        return Ended("timeout", f"no result within {seconds:g} s")
    if isinstance(error, wire.TooLong):
        return Ended("output_limit", "a value was too long to be handed over")
    if isinstance(error, values.Unreadable):
        return Ended("killed", "the code broke its connection to the tests")
    for _ in range(50):
        pid, status = os.waitpid(code, os.WNOHANG)
        if pid:
            return _death(os.waitstatus_to_exitcode(status))
        time.sleep(0.01)
    return Ended("killed", "the code closed its connection to the tests")


def statement(source: str, file: str, error: BaseException) -> str:
    """The innermost statement of a source that an error passed through; empty if there is none."""
    lines = [f.lineno for f in traceback.extract_tb(error.__traceback__, limit=-200) if f.filename == file]
    line = lines[-1] if lines else None
    if line is None:
        return ""
    around = [n for n in ast.walk(ast.parse(source)) if isinstance(n, ast.stmt) and _holds(n, line)]
    innermost = min(around, key=lambda n: (n.end_lineno or n.lineno) - n.lineno, default=None)
    return ((innermost and ast.get_source_segment(source, innermost)) or "")[:500]


def call(name: str, arguments: Sequence[object], named: Mapping[str, object], result: Sequence[object]) -> str:
    """A call as a test would write it, with what it returned if that is given."""
    short = reprlib.Repr()
    short.maxstring = short.maxother = 80
    shown = [_shown(short, a) for a in arguments] + [f"{k}={_shown(short, v)}" for k, v in named.items()]
    text = f"{name}({', '.join(shown)})"
    return f"{text} returned {_shown(short, result[0])}" if result else text


def names_read(tree: ast.Module) -> set[str]:
    """Names that the tests read when they run from top to bottom, not within functions that may never be called."""
    found: set[str] = set()
    nodes: list[ast.AST] = [tree]
    while nodes:
        node = nodes.pop()
        if isinstance(node, ast.Name):
            found.add(node.id)
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            nodes += ast.iter_child_nodes(node)
    return found


def _death(status: int) -> Ended:
    if status >= 0:
        return Ended("killed", f"the code ended its process with status {status} before the tests were through")
    if -status == signal.SIGXCPU:
        return Ended("timeout", "the code's processor time was used up")
    return Ended("killed", f"the code's process was ended by {signal.Signals(-status).name}")


def _holds(node: ast.stmt, line: int) -> bool:
    return node.lineno <= line <= (node.end_lineno or node.lineno)


def _shown(short: reprlib.Repr, value: object) -> str:
    return f"<{kind_of(value)}>" if isinstance(value, Remote) else short.repr(value)[:200]
