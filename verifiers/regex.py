"""A pattern that the answer matches. Patterns run in a worker: one that backtracks for ever is killed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from ..core.candidate import Candidate
from ..core.errors import ConfigError
from ..core.task import Task
from ..core.verdict import Verdict
from . import regex_worker
from .worker import shared_pool

if TYPE_CHECKING:
    from ..core.context import Context


def compiled(pattern: str, flags: str = "") -> re.Pattern[str]:
    """A user's pattern.

    Raises:
        ConfigError: it is no regular expression, or a flag is unknown.
    """
    if unknown := set(flags) - set(regex_worker.FLAGS):
        raise ConfigError(f"unknown regex flags {''.join(sorted(unknown))!r}", hint=f"of {''.join(regex_worker.FLAGS)}")
    try:
        return re.compile(pattern, regex_worker.flag_bits(flags))
    except (re.error, RecursionError, OverflowError) as e:
        raise ConfigError(f"{pattern!r} is no regular expression: {e}", hint="Python's re syntax") from None


@dataclass(frozen=True, kw_only=True)
class Regex:
    """Passes a text in which the pattern is found."""

    name: ClassVar[str] = "regex"
    version: ClassVar[str] = "1"
    oracle: ClassVar[bool] = False

    pattern: str
    """A regular expression in Python's syntax."""
    mode: Literal["search", "fullmatch"] = "search"
    """Whether it may match anywhere, or must match the whole text without the white space around it."""
    flags: str = ""
    """Letters: i ignore case, m multi-line, s dot matches line breaks, x verbose, a ASCII."""
    message: str = "the answer does not have the required form"
    """Feedback of a failure. The pattern itself is never shown: it may hold the answer."""
    timeout: float = 2.0
    """Seconds that one match may take."""
    judges_truncated: bool = False

    def __post_init__(self) -> None:
        if not self.pattern:
            raise ConfigError("regex: the pattern is empty", hint="regex:PATTERN")
        if not 0 < self.timeout < 3600:
            raise ConfigError(f"regex: timeout is {self.timeout}", hint="seconds, above 0")
        if self.mode not in ("search", "fullmatch"):
            raise ConfigError(f"regex: mode is {self.mode!r}", hint="search or fullmatch")
        compiled(self.pattern, self.flags)

    async def verify(self, task: Task, candidate: Candidate, ctx: Context | None = None) -> Verdict:
        text = candidate.text.strip() if self.mode == "fullmatch" else candidate.text
        target, args = f"{regex_worker.__name__}:match", (self.pattern, self.flags, self.mode, text)
        span = await shared_pool().call(target, args, seconds=self.timeout, memory_mb=512)
        if span is None:
            return Verdict.failed(self.message, reason="no_match")
        return Verdict.passed(evidence={"span": span})
