"""A model's Python, judged by tests that run against it in a sandbox."""

from __future__ import annotations

import asyncio
import keyword
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, cast

from ..core.candidate import Candidate
from ..core.errors import ConfigError, VerifierFailed
from ..core.ids import Json
from ..core.task import Task
from ..core.text import one_line
from ..core.verdict import Verdict
from .sandbox import program
from .sandbox.layers import Requirement, required
from .sandbox.limits import Limits
from .worker import shared_pool

if TYPE_CHECKING:
    from ..core.context import Context

_FENCE = re.compile(r"^([ \t]*)```[ \t]*([\w+-]*)[^\n]*\n(.*?)(?:^[ \t]*```|\Z)", re.MULTILINE | re.DOTALL)
_LANGUAGES = ("", "py", "py3", "python", "python3")
_SLACK_SECONDS = 5.0
_FEEDBACK_CHARS = 600
_SPARE_MB = 16


@dataclass(frozen=True, kw_only=True)
class PythonTests:
    """Passes an answer whose code passes the tests.

    The code is the answer's first block in fences that defines what is to be tested, or the whole answer. Code and
    tests run in a process each, confined by the kernel; the tests call the code across the border and see copies of
    plain values. `docs/sandbox.md` says what is prevented, and what tests cannot do.
    """

    name: ClassVar[str] = "python_tests"
    version: ClassVar[str] = "1"

    tests: str
    """Python source that uses what the code defines, and raises on failure. The code never sees it."""
    entry_point: str | None = None
    """Name that the code must define. The tests see it, also as `candidate`, and what the prelude defines, no more; a
    function `check` of theirs is called with it. None shows the tests all that the code defines."""
    prelude: str = ""
    """Source put before the code, such as imports or the signature that a prompt began with."""
    timeout: float = 10.0
    """Seconds for the code and the tests together."""
    memory_mb: int = 512
    """Memory that the code may use, beyond the interpreter's own."""
    require: Requirement = "strong"
    """`strong` refuses to run where the kernel cannot confine the code; `weak` runs it behind what layers there are."""
    oracle: bool = False
    """Whether the tests stand for the reference answer; then the feedback quotes nothing of them."""
    judges_truncated: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.timeout < 3600:
            raise ConfigError(f"python_tests: timeout is {self.timeout}", hint="seconds, above 0")
        if not _SPARE_MB <= self.memory_mb <= 2**20:
            raise ConfigError(f"python_tests: memory_mb is {self.memory_mb}", hint=f"megabytes, at least {_SPARE_MB}")
        if self.require not in ("strong", "weak"):
            raise ConfigError(f"python_tests: require is {self.require!r}", hint="strong or weak")
        if self.entry_point is not None and (not self.entry_point.isidentifier() or keyword.iskeyword(self.entry_point)):
            raise ConfigError(f"python_tests: entry_point is {one_line(self.entry_point)!r}", hint="the name of a function")
        _check_tests(self.tests)

    def check(self, task: Task) -> None:
        """Refuse to run where the sandbox is too weak."""
        required(self.require)

    async def verify(self, task: Task, candidate: Candidate, ctx: Context | None = None) -> Verdict:
        code = find_code(candidate.text, self.entry_point)
        if code is None:
            return Verdict.failed("there is no code in the answer", reason="no_code")
        try:
            walls = await asyncio.to_thread(required, self.require)
        except ConfigError as e:
            raise VerifierFailed(e.message, hint=e.hint, code=e.code) from None
        limits = Limits(seconds=self.timeout, memory_mb=self.memory_mb)
        args: list[Json] = [code, self.tests, self.entry_point, self.prelude, limits.to_json(), walls.to_json()]
        seconds = self.timeout + program.START_SECONDS + _SLACK_SECONDS
        found = cast("dict[str, Any]", await shared_pool().call(f"{program.__name__}:run", args, seconds=seconds))
        if "unable" in found:
            raise VerifierFailed(one_line(f"the sandbox failed: {found['unable']}", 500), code="sandbox_failed")
        return self._verdict(code, found, walls.names)

    def _verdict(self, code: str, found: Mapping[str, Any], layers: list[str]) -> Verdict:
        evidence: dict[str, Json] = {"code": one_line(code, 2000), "layers": layers, "calls": found.get("calls")}
        if found["output"]:
            evidence["output"] = one_line(found["output"], 1000)
        reason, feedback = str(found["reason"]), self._feedback(found)
        match found["outcome"]:
            case "pass":
                return Verdict.passed(evidence=evidence)
            case "fail":
                return Verdict.failed(feedback, reason=reason, evidence=evidence)
            case _:
                return Verdict.abstain(reason, feedback, evidence=evidence)

    def _feedback(self, found: Mapping[str, Any]) -> str:
        """What went wrong: the error, the test that met it, what the code was called with last."""
        error, test, call = (one_line(str(found.get(k, "")), _FEEDBACK_CHARS // 3) for k in ("error", "test", "call"))
        if found["reason"] != "test_failed":
            return error if self.oracle or not call else f"{error}, in {call}"
        if self.oracle:
            return "a test failed"
        parts = [f"a test failed: {test}" if test else "a test failed", error, call]
        return "; ".join(part for part in parts if part)


def find_code(text: str, entry_point: str | None = None) -> str | None:
    """The code in an answer, its indentation kept: of its fenced blocks the first that defines `entry_point`, else the
    first in Python; the whole text where there are no fences. None if that is blank.
    """
    fences = [m.groups() for m in _FENCE.finditer(text)]
    # A block is indented as its fence is, in a list for example; what goes beyond is the code's own.
    blocks = [re.sub(f"(?m)^[ \\t]{{0,{len(indent)}}}", "", code) for indent, kind, code in fences if kind.lower() in _LANGUAGES]
    if not blocks:
        blocks = [] if fences else [text]
    if entry_point:
        name = re.escape(entry_point)
        defines = re.compile(rf"^(?:(?:async[ \t]+)?def|class)[ \t]+{name}\b|^{name}[ \t]*=", re.MULTILINE)
        blocks.sort(key=lambda block: not defines.search(block))
    code = blocks[0].lstrip("\r\n").rstrip() if blocks else ""
    return code or None


def _check_tests(tests: str) -> None:
    """Refuse tests that could not run, or test nothing.

    Raises:
        ConfigError: saying where.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            compiled = compile(tests, "<tests>", "exec", dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as e:
        line = f" in line {e.lineno}" if isinstance(e, SyntaxError) else ""
        raise ConfigError(
            f"python_tests: the tests are no Python{line}: {one_line(str(e), 200)}", hint="assert f(1) == 2"
        ) from None
    if not compiled.co_names:
        raise ConfigError("python_tests: the tests test nothing", hint="assert f(1) == 2")
