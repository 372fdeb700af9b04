"""Declarative checks on a text, each with its own feedback: what a writing task demands, as data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, cast

from ..core.candidate import Candidate
from ..core.errors import ConfigError
from ..core.task import Task
from ..core.verdict import Verdict
from . import prefixes
from .constraint_rules import Worded, rules_of
from .worker import shared_pool

if TYPE_CHECKING:
    from ..core.context import Context


@dataclass(frozen=True, kw_only=True)
class Constraints:
    """Passes a text that satisfies every check; the score is the share satisfied, the feedback says what is violated."""

    name: ClassVar[str] = "constraints"
    version: ClassVar[str] = "1"
    oracle: ClassVar[bool] = False

    checks: Sequence[Mapping[str, Any]]
    """Objects such as `{"contains": "fox"}` or `{"words": {"max": 15}}`; `message` replaces the feedback."""
    timeout: float = 2.0
    """Seconds that checks with patterns may take; they run in a worker process."""
    judges_truncated: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.timeout < 3600:
            raise ConfigError(f"constraints: timeout is {self.timeout}", hint="seconds, above 0")
        if not self._rules:
            raise ConfigError("constraints: there are no checks", hint='"checks": [{"contains": "fox"}]')

    @cached_property
    def _rules(self) -> list[Worded]:
        return [rule for check in self.checks for rule in rules_of(check)]

    async def verify(self, task: Task, candidate: Candidate, ctx: Context | None = None) -> Verdict:
        rules = [worded.rule for worded in self._rules]
        if any(worded.has_pattern for worded in self._rules):
            target, args = f"{prefixes.__name__}:checked", (rules, candidate.text)
            found = await shared_pool().call(target, args, seconds=self.timeout, memory_mb=512)
        else:
            found = prefixes.checked(rules, candidate.text)
        results, right = cast("tuple[list[bool], int | None]", found)
        violated = [worded.feedback for worded, fine in zip(self._rules, results, strict=True) if not fine]
        if not violated:
            return Verdict.passed()
        score = (len(rules) - len(violated)) / len(rules)
        feedback, evidence = "; ".join(violated), {"violated": violated}
        return Verdict.failed(feedback, score=score, reason="constraints", evidence=evidence, valid_prefix=right)
