"""The reward of an environment as a verifier: what came out of an episode, judged by the environment's own rule."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from ..core.candidate import Candidate
from ..core.environment import Environment
from ..core.task import Task
from ..core.verdict import Verdict
from .registry import environment_maker

if TYPE_CHECKING:
    from ..core.context import Context


@dataclass(frozen=True, kw_only=True)
class EnvironmentReward:
    """Judges the answer of an episode by the reward of its environment."""

    name: ClassVar[str] = "environment_reward"

    environment: Any
    """The environment: its name, a description, a target, or what makes it."""
    judges_truncated: bool = False

    def __post_init__(self) -> None:
        _ = self._judge

    @cached_property
    def _judge(self) -> Environment:
        return environment_maker(self.environment)()

    @property
    def version(self) -> str:
        """Name and version of the environment."""
        return f"{self._judge.name} {self._judge.version}"

    @property
    def oracle(self) -> bool:
        """Whether the reward depends on the reference answer."""
        return self._judge.oracle

    def check(self, task: Task) -> None:
        """Refuse a task that lacks what the environment needs."""
        self._judge.check(task)

    async def verify(self, task: Task, candidate: Candidate, ctx: Context | None = None) -> Verdict:
        return await self._judge.reward(task, candidate.text)
