"""A user's function as a verifier. With a timeout it runs in a worker process that can be killed."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, cast

from ..core.candidate import Candidate
from ..core.errors import BurnishError, ConfigError, VerifierFailed
from ..core.ids import text_hash
from ..core.target import absolute, load_target
from ..core.task import Task
from ..core.text import one_line
from ..core.verdict import Verdict
from . import python_worker
from .refs import ref_of
from .worker import shared_pool

if TYPE_CHECKING:
    from ..core.context import Context

_OWN_CODES = ("bad_return", "bad_score", "bad_outcome", "memory_limit", "timeout", "verifier_crashed")


@dataclass(frozen=True, kw_only=True)
class PythonFunction:
    """Wraps `function(task, text) -> bool | float | Verdict`, sync or async. What it prints in a worker is dropped."""

    default_timeout: ClassVar[float] = 30.0

    function: str | Callable[..., Any]
    """`module:function`, `path/to/file.py:function`, or the function itself."""
    timeout: float | None = None
    """Seconds that one call may take, in a worker process. None calls it in this process, where it blocks all else."""
    memory_mb: int | None = 4096
    """Memory that one call may take in a worker; None for no limit."""
    oracle: bool = True
    """Whether it sees the task's reference; with False the reference is withheld."""
    version: str = ""
    """Changes when the function judges differently; empty for a hash of its source."""
    judges_truncated: bool = False
    judges_prefixes: bool = False
    """Whether it is a process verifier: judges beginnings of answers too."""

    def __post_init__(self) -> None:
        if self.timeout is not None and not 0 < self.timeout < 86400:
            raise ConfigError(f"python_function: timeout is {self.timeout}", hint="seconds, above 0; or None")
        if not callable(self._callable):
            raise ConfigError(f"{self.function} is not a function", hint="give a function of (task, text)")
        _check_arguments(self._callable, self.name)
        if not self.version:
            object.__setattr__(self, "version", source_version(self._callable))
        _ = self.timeout is None or self._ref

    @property
    def name(self) -> str:
        """The function's name."""
        return getattr(self._callable, "__name__", type(self._callable).__name__)

    @cached_property
    def _callable(self) -> Callable[..., Any]:
        return (
            cast("Callable[..., Any]", load_target(self.function, what="function"))
            if isinstance(self.function, str)
            else self.function
        )

    @cached_property
    def _ref(self) -> str:
        return absolute(self.function) if isinstance(self.function, str) else ref_of(self.function)

    async def verify(self, task: Task, candidate: Candidate, ctx: Context | None = None) -> Verdict:
        task = replace(task, grader=None) if self.oracle else replace(task, reference=None, grader=None)
        try:
            if self.timeout is None:
                value: object = self._callable(task, candidate.text)
                if inspect.isawaitable(value):
                    value = await value
                fields = python_worker.plain(value)
            else:
                target, args = f"{python_worker.__name__}:run", (self._ref, task.to_json(), candidate.text)
                pool, memory = shared_pool(), self.memory_mb
                found = await pool.call(target, args, seconds=self.timeout, memory_mb=memory, load=[self._ref])
                fields = cast("dict[str, Any]", found)
        except VerifierFailed as e:
            feedback = e.message if e.code in _OWN_CODES else "the verifier raised an error"
            return Verdict.abstain(e.code, feedback, evidence={"error": one_line(e.message, 500)})
        except BurnishError:
            raise
        except (Exception, SystemExit) as e:
            error = one_line(f"{type(e).__name__}: {e}", 500)
            return Verdict.abstain("verifier_error", "the verifier raised an error", evidence={"error": error})
        return _withheld(Verdict(**fields), task)


def _check_arguments(function: Callable[..., Any], name: str) -> None:
    try:
        inspect.signature(function).bind(None, "")
    except TypeError:
        raise ConfigError(f"{name} does not take (task, text)", hint="def check(task, text): return True") from None
    except ValueError:
        return


def source_version(function: Callable[..., Any]) -> str:
    """A version that changes with the source of a function or class."""
    try:
        return text_hash(inspect.getsource(function))[:8]
    except (OSError, TypeError):
        return "unknown"


def _withheld(verdict: Verdict, task: Task) -> Verdict:
    """The verdict, without the reference in its feedback: revisers read that."""
    reference = task.reference
    if not verdict.feedback or isinstance(reference, bool) or not isinstance(reference, str | int | float) or reference == "":
        return verdict
    pattern = rf"(?<!\w){re.escape(str(reference))}(?!\w)"
    return verdict.but(feedback=re.sub(pattern, "[withheld]", verdict.feedback, flags=re.IGNORECASE))
