"""Functions of one's own as an environment: each call of a tool is one step, recorded, and `answer[...]` ends the episode."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from ..core.environment import Observation, Tool
from ..core.errors import BurnishError, ConfigError
from ..core.ids import json_hash
from ..core.task import Task
from ..core.text import one_line
from ..core.verdict import Verdict
from .actions import read_call

ANSWER = "answer"


@dataclass(kw_only=True)
class Toolbox:
    """Tools that keep nothing between calls. A resumed episode therefore goes on without calling any of them again.

    A tool is a function of one text, async or not, whose result is shown as text. What it raises is shown too: a search that
    finds nothing may raise, and the agent tries another one.
    """

    name: ClassVar[str] = "toolbox"
    oracle: ClassVar[bool] = False

    functions: Mapping[str, Callable[[str], Any]]
    """By name; the first line of a function's docstring tells the agent what it is for."""

    def __post_init__(self) -> None:
        for name, function in self.functions.items():
            if name != name.lower() or not name.isidentifier() or name == ANSWER or not callable(function):
                raise ConfigError(
                    f"toolbox: {one_line(str(name))!r} is no tool", hint="a name in lower case, not 'answer', and a function"
                )

    @property
    def version(self) -> str:
        """Changes with the names and descriptions of the tools."""
        return json_hash([[t.usage, t.about] for t in self.tools])[:8]

    @property
    def tools(self) -> Sequence[Tool]:
        """The functions, then the answer."""
        about = {name: (inspect.getdoc(function) or "a tool").splitlines()[0] for name, function in self.functions.items()}
        listed = [Tool(usage=f"{name}[text]", about=text) for name, text in about.items()]
        return (*listed, Tool(usage=f"{ANSWER}[text]", about="gives the answer and ends the work"))

    def check(self, task: Task) -> None:
        """Every task will do."""

    async def reset(self, task: Task, seed: int) -> Observation:
        return Observation(text="Nothing has been done so far.")

    async def step(self, action: str) -> Observation:
        call = read_call(action)
        if call is None:
            return Observation(text=f"That is no action. Write one like this: {self.tools[0].usage}", refused=True)
        name, argument = call
        if name == ANSWER:
            if not argument:
                return Observation(text="The answer is empty.", refused=True)
            return Observation(text="That is the answer.", done=True, answer=argument)
        function = self.functions.get(name)
        if function is None:
            return Observation(text=f"There is no tool {one_line(name, 40)!r}, only {', '.join(self.functions)}.", refused=True)
        return Observation(text=await _called(function, argument))

    async def restore(self, task: Task, seed: int, actions: Sequence[str]) -> None:
        """There is nothing to bring back."""

    async def reward(self, task: Task, answer: str) -> Verdict:
        """Tools give no reward: the task's verifier does."""
        return Verdict.abstain("no_reward", "a toolbox gives no reward: the task needs a verifier")

    async def close(self) -> None:
        """Nothing is held."""


async def _called(function: Callable[[str], Any], argument: str) -> str:
    try:
        value = function(argument)
        return str(await value if inspect.isawaitable(value) else value)
    except BurnishError:
        raise
    except Exception as e:
        return f"The tool failed: {type(e).__name__}: {one_line(str(e), 300)}"
