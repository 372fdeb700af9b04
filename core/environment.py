"""The environment protocol: something that an agent acts in over several turns.

An episode ends with an *answer*: a text that holds all that the reward depends on, such as the query that was submitted or
what was bought. Judging it needs no more than the task, so what comes out of an episode is a candidate like any other:
every verifier, grader and judge can read it, and it can be judged again long after the episode.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias, runtime_checkable

from .ids import Json
from .task import Task
from .verdict import Verdict


@dataclass(frozen=True, kw_only=True)
class Tool:
    """One kind of action that an environment takes."""

    usage: str
    """How it is written: `search[words]`."""
    about: str
    """What it does, in a line."""


@dataclass(frozen=True, kw_only=True)
class Observation:
    """What an agent sees after an action, or at the beginning."""

    text: str
    refused: bool = False
    """Whether the action was malformed or is not possible here, and changed nothing."""
    done: bool = False
    """Whether the episode is over."""
    answer: str = ""
    """What came out of the episode, once it is over."""

    def to_json(self) -> dict[str, Json]:
        """Plain form for the record."""
        return {"text": self.text, "refused": self.refused, "done": self.done, "answer": self.answer}


@runtime_checkable
class Environment(Protocol):
    """One episode of something to act in. Made without touching the world; `reset` begins the episode.

    For the same task, seed and actions it gives the same observations: when a run is resumed, what was observed comes
    from the record, and only where the episode goes on behind the record are its actions done again to get back to where it
    was. An environment for which that is wrong has `async def restore(self, task, seed, actions)`, which is called instead
    of `reset` and the actions.
    """

    @property
    def name(self) -> str:
        """Short name, stored with each step."""
        ...

    @property
    def version(self) -> str:
        """Changes when the environment behaves or rewards differently."""
        ...

    @property
    def oracle(self) -> bool:
        """Whether the reward depends on the reference answer."""
        ...

    @property
    def tools(self) -> Sequence[Tool]:
        """What can be done."""
        ...

    def check(self, task: Task) -> None:
        """Refuse a task that lacks what the environment needs.

        Raises:
            ConfigError: naming what is missing.
        """
        ...

    async def reset(self, task: Task, seed: int) -> Observation:
        """Begin an episode."""
        ...

    async def step(self, action: str) -> Observation:
        """Do one action. One that makes no sense is answered by an observation that says so; raising ends the episode."""
        ...

    async def reward(self, task: Task, answer: str) -> Verdict:
        """Judge what came out of an episode, from this alone: asked of an object that was never reset."""
        ...

    async def close(self) -> None:
        """Release what the episode holds. Called again it does nothing."""
        ...


Maker: TypeAlias = Callable[[], Environment]
"""Makes a fresh environment for each episode."""
