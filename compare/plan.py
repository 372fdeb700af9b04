"""What is to be compared: arms on the same tasks and seeds."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

from ..core.budget import Budget
from ..core.errors import ConfigError
from ..core.ids import Json, json_hash
from ..core.task import Task
from ..core.text import one_line

_FORM = "GRAPH or NAME=GRAPH:KEY=VALUE,..., as in best_of_n:n=8,verifier=grader"


@dataclass(frozen=True, kw_only=True)
class Arm:
    """One method: a graph with its settings, its verifier and, if it has one of its own, its budget."""

    name: str
    """Shown, and the end of its batches' names; unique in a comparison."""
    graph: str
    """Built-in name or target."""
    settings: Mapping[str, Json] = field(default_factory=dict[str, Json])
    verifier: Json = "task"
    """`task`: that of each task; `grader`: each task's grader, an oracle; `none`; or a verifier's name or description, in which
    `"verifier": "task"` and `"verifier": "grader"` stand for the task's own: a noisy one, say."""
    budget: Budget = field(default_factory=Budget)
    """Of each run, instead of the comparison's; empty for the latter."""

    def prepared(self, tasks: Sequence[Task]) -> list[Task]:
        """The tasks as this arm sees them.

        Raises:
            ConfigError: the arm's verifier is the grader, and a task has none.
        """
        match self.verifier:
            case "task":
                return list(tasks)
            case "none":
                return [replace(t, verifier=None) for t in tasks]
            case spec:
                return [replace(t, verifier=self._meant(spec, t)) for t in tasks]

    def _meant(self, spec: Json, task: Task) -> Json:
        """A verifier's description for one task."""
        match spec:
            case "task":
                return task.verifier
            case "grader" if task.grader is None:
                raise ConfigError(
                    f"the task {task.id} has no grader, which the arm {self.name} verifies with", hint="verifier=task"
                )
            case "grader":
                return task.grader
            case {"verifier": "task" | "grader" as inner, **rest}:
                if (own := self._meant(inner, task)) is None:
                    raise ConfigError(
                        f"the task {task.id} has no verifier, which the arm {self.name} wraps", hint="verifier=grader"
                    )
                return {**rest, "verifier": own}
            case _:
                return spec

    def to_json(self) -> dict[str, Json]:
        """Plain form for storing."""
        return {
            "name": self.name,
            "graph": self.graph,
            "settings": dict(self.settings),
            "verifier": self.verifier,
            "budget": self.budget.to_json(),
        }

    @staticmethod
    def from_json(value: Mapping[str, Any]) -> Arm:
        """Read the plain form."""
        fields: dict[str, Any] = {**value, "budget": Budget.of(value["budget"])}
        return Arm(**fields)

    @staticmethod
    def of(text: str) -> Arm:
        """Read the command line's form: `[NAME=]GRAPH[:KEY=VALUE,...]`.

        Keys are the graph's settings, `verifier`, and `budget.LIMIT`. Values are JSON where they parse, else text.

        Raises:
            ConfigError: the text has another form.
        """
        head, rest = _split(text)
        name, equals, graph = head.partition("=")
        graph = graph if equals else name
        if not graph or not name or graph.endswith(":"):
            raise ConfigError(f"{one_line(text)!r} is no arm", hint=_FORM)
        settings: dict[str, Json] = {}
        limits: dict[str, Json] = {}
        verifier: Json = "task"
        for key, value in _pairs(text, rest):
            if key == "verifier":
                verifier = value
            elif key.startswith("budget."):
                limits[key.removeprefix("budget.")] = value
            else:
                settings[key] = value
        return Arm(name=name if equals else text, graph=graph, settings=settings, verifier=verifier, budget=Budget.of(limits))


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A comparison: every arm on every task, once for each seed."""

    name: str
    """Under which it is stored, and gone on with."""
    arms: Sequence[Arm]
    tasks: Sequence[Task]
    seeds: Sequence[int] = (0,)
    """Each is one run of every arm on every task."""
    budget: Budget = field(default_factory=Budget)
    """Of each run; the same for all arms that have none of their own."""
    baseline: str = ""
    """The arm that the others are compared with; empty for the first."""

    def __post_init__(self) -> None:
        if not self.arms:
            raise ConfigError("there is nothing to compare", hint=f"give arms: {_FORM}")
        if not self.tasks:
            raise ConfigError("there are no tasks", hint="--tasks FILE.jsonl, or --benchmark NAME")
        if not self.seeds or len(set(self.seeds)) < len(self.seeds):
            raise ConfigError("the seeds are not distinct", hint="seeds=(0, 1, 2)")
        for what, names in (("arms", [a.name for a in self.arms]), ("tasks", [t.id for t in self.tasks])):
            if twice := next((n for n, times in Counter(names).items() if times > 1), None):
                raise ConfigError(f"two {what} are called {one_line(twice)!r}", hint="give each its own name: NAME=GRAPH:...")
        if self.baseline and self.baseline not in [a.name for a in self.arms]:
            known = ", ".join(a.name for a in self.arms)
            raise ConfigError(f"no arm is called {one_line(self.baseline)!r}", hint=f"one of: {known}")
        if bare := next((t.id for t in self.tasks if t.grader is None), None):
            raise ConfigError(f"the task {bare} has no grader, so that nothing says what is right", hint='"grader": "exact"')

    @staticmethod
    def of(
        name: str | None,
        arms: Sequence[Arm],
        tasks: Sequence[Task],
        seeds: Sequence[int] = (0,),
        budget: Budget | str | Mapping[str, Any] | None = None,
        baseline: str = "",
    ) -> Plan:
        """A plan; without a name it is named after what it compares, so that the same comparison has the same name.

        Raises:
            ConfigError: there is nothing to compare, or nothing to compare it on; two arms or tasks of one name; a task
                without a grader; a budget that nothing can start with.
        """
        plan = Plan(name=name or "?", arms=arms, tasks=tasks, seeds=seeds, budget=Budget.of(budget), baseline=baseline)
        return plan if name else replace(plan, name=f"compare-{json_hash(plan.to_json())[:8]}")

    def budget_of(self, arm: Arm) -> Budget:
        """The budget of an arm's runs."""
        return arm.budget or self.budget

    @property
    def reference(self) -> Arm:
        """The arm that the others are compared with."""
        return next((a for a in self.arms if a.name == self.baseline), self.arms[0])

    def batch_name(self, arm: Arm, seed: int) -> str:
        """The name of the batch that an arm's runs with one seed make."""
        return f"{self.name}/{arm.name}/{seed}"

    def to_json(self) -> dict[str, Json]:
        """Plain form for storing; of the tasks only a digest, since each run stores its own."""
        return {
            "name": self.name,
            "arms": [a.to_json() for a in self.arms],
            "seeds": list(self.seeds),
            "budget": self.budget.to_json(),
            "baseline": self.baseline,
            "tasks": len(self.tasks),
            "digest": json_hash([t.to_json() for t in self.tasks]),
        }

    @staticmethod
    def from_json(value: Mapping[str, Any], tasks: Sequence[Task]) -> Plan:
        """Read the plain form, with the tasks that belong to it.

        Raises:
            ConfigError: the tasks are others.
        """
        plan = Plan(
            name=value["name"],
            arms=[Arm.from_json(a) for a in value["arms"]],
            tasks=tasks,
            seeds=tuple(value["seeds"]),
            budget=Budget.of(value["budget"]),
            baseline=value["baseline"],
        )
        if plan.to_json()["digest"] != value["digest"]:
            raise ConfigError(
                f"the comparison {plan.name} has other tasks", hint="use another --name, or the tasks that it began with"
            )
        return plan


def _split(text: str) -> tuple[str, str]:
    """Graph and settings; a target (`file.py:attribute`) has a colon of its own."""
    head, colon, rest = text.partition(":")
    if colon and "=" not in rest.partition(",")[0].partition(":")[0]:
        attribute, _, rest = rest.partition(":")
        head = f"{head}:{attribute}"
    return head, rest


def _pairs(text: str, rest: str) -> list[tuple[str, Json]]:
    """Keys and values. A comma within a JSON value does not part."""
    pairs: list[tuple[str, Json]] = []
    pieces = rest.split(",") if rest else []
    while pieces:
        key, equals, value = pieces.pop(0).partition("=")
        if not equals or not key.strip():
            raise ConfigError(f"{one_line(text)!r} is no arm", hint=_FORM)
        while value[:1] in ("{", "[", '"') and not _parses(value) and pieces:
            value += "," + pieces.pop(0)
        pairs.append((key.strip(), _value(value)))
    return pairs


def _parses(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _value(text: str) -> Json:
    return cast("Json", json.loads(text)) if _parses(text) and text not in ("NaN", "Infinity", "-Infinity") else text
