"""The selection agent: how well each search algorithm suits the task at hand, as priors for a bandit (PlanGEN, section 2.1.3).

It does not choose: `search.bandit` does, from these priors and from how the algorithms fared before.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..core.context import Context
from ..core.errors import ConfigError
from ..core.sampling import Sampling
from ..core.text import one_line
from .structured import Form, Unreadable, an_object, ask, fenced, object_schema, without
from .templates import load

NEUTRAL = 0.5
"""The prior of every arm where the model could not be understood."""

ABOUT: Mapping[str, str] = {
    "best_of_n": "several whole solutions, independent of each other; the best is taken",
    "rebase": "step by step; many beginnings at once, the better ones are continued more often",
    "tree_of_thought": "step by step; a few continuations at each step, the best one is gone on with",
}
"""What the model is told of the arms that it may not know by name."""

_NOTHING = "None provided"
_NUMBER = re.compile(r"[+-]?(?:[0-9]{1,9}(?:\.[0-9]{1,9})?|\.[0-9]{1,9})")


class Priors(dict[str, float]):
    """By arm, how well it suits the task, from 0 to 1."""

    def __init__(self, values: Mapping[str, float], *, problem: str = "") -> None:
        super().__init__(values)
        self.problem = problem
        """Why the model could not be understood; empty if it could. With a problem all arms are equal."""

    @property
    def uniform(self) -> bool:
        """Whether these say nothing, because the model could not be understood."""
        return bool(self.problem)


@dataclass(frozen=True, kw_only=True)
class SelectionAgent:
    """Asks the model how well each arm suits the run's task, after an attempt that was not good enough."""

    template: str = field(default_factory=lambda: load("selection"))
    """Fields `question`, `feedback`, `previous`, `arms`, `form`."""
    sampling: Sampling = field(default_factory=lambda: Sampling(max_tokens=512, temperature=0.0))
    role: str = "selection"
    """Role whose engine answers."""
    structured: bool = True
    """Whether to have the form of the reply enforced where the engine can."""
    about: Mapping[str, str] = field(default_factory=lambda: ABOUT)
    """By arm, what it does; an arm without an entry goes by its name."""

    async def __call__(
        self, ctx: Context, *, arms: Sequence[str], feedback: str, previous: str, key: str | None = None
    ) -> Priors:
        """Priors for the arms; all the same, and flagged, where the model cannot be understood.

        Args:
            ctx: where in the run the calls stand.
            arms: names of the algorithms to choose from.
            feedback: what was said of the attempt before; empty for none.
            previous: the attempt before; empty for none.
            key: key of the call.

        Raises:
            ConfigError: there are no arms, or two of one name.
            GenerationFailed: a call failed.
        """
        if not arms or len({_plain(arm) for arm in arms}) < len(arms):
            raise ConfigError("selection: the arms are none, or alike", hint='arms=["best_of_n", "rebase"]')
        quoted = {
            "feedback": fenced("feedback", feedback) if feedback.strip() else _NOTHING,
            "previous": fenced("plan", previous) if previous.strip() else _NOTHING,
        }
        values = {
            **quoted,
            "question": ctx.task.prompt,
            "arms": "\n".join(f"- {arm}" + (f": {self.about[arm]}" if arm in self.about else "") for arm in arms),
        }
        asked = await ask(
            ctx,
            self.template,
            values,
            _form(arms, [q for q in quoted.values() if q != _NOTHING]),
            self.sampling,
            role=self.role,
            structured=self.structured,
            key=key,
        )
        if asked.value is None:
            return Priors(dict.fromkeys(arms, NEUTRAL), problem=asked.problem)
        return Priors(asked.value)


def _form(arms: Sequence[str], quoted: Sequence[str]) -> Form[dict[str, float]]:
    names = {_plain(arm): arm for arm in arms}

    def of_text(reply: str) -> dict[str, float]:
        for text in quoted:
            reply = without(reply, text)
        said: dict[str, float] = {}
        for line in reply.splitlines():
            name, _, written = line.rpartition(":")
            number = written.strip(" \t*_`").rstrip(".,;")
            if _plain(name) in names and _NUMBER.fullmatch(number):
                said[names[_plain(name)]] = float(number)
        return _checked(arms, said)

    def of_json(value: object) -> dict[str, float]:
        priors = an_object(an_object(value, "priors")["priors"])
        return _checked(arms, {names.get(_plain(name), ""): said for name, said in priors.items()})

    number = {"type": "number", "minimum": 0, "maximum": 1}
    schema: dict[str, Any] = object_schema(
        {"reasoning": {"type": "string"}, "priors": object_schema(dict.fromkeys(arms, number))}
    )
    return Form(
        text="After the reasoning write one line for each method, its name and its number, such as:\n"
        + "\n".join(f"{arm}: 0.5" for arm in arms),
        of_text=of_text,
        json='Reply with a JSON object: "reasoning" is your reasoning as a text, "priors" an object that gives each of '
        f"{', '.join(arms)} its number.",
        of_json=of_json,
        schema=schema,
    )


def _checked(arms: Sequence[str], said: Mapping[str, object]) -> dict[str, float]:
    """A number in [0, 1] for each arm; of others nothing."""
    found: dict[str, float] = {}
    for arm in arms:
        number = said.get(arm)
        if isinstance(number, bool) or not isinstance(number, int | float):
            raise Unreadable(f"there is no number for {arm}")
        if not 0 <= number <= 1:
            raise Unreadable(f"the number for {arm} is {one_line(str(number), 20)}, not from 0 to 1")
        found[arm] = float(number)
    return found


def _plain(name: str) -> str:
    """A name as it is compared: `Best of N` is `best_of_n`."""
    return "".join(c for c in name.casefold() if c.isalnum())
