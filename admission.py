"""What must hold before a run is begun or gone on with: the tasks, the engines, prices for a limit on money, no lost secret."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from .core.engine import Engine, engine_difference, most_usd, require
from .core.errors import ConfigError, EngineUnavailable
from .core.ids import Json
from .core.redact import is_withheld, redact
from .core.runs import RunSpec
from .core.sampling import Sampling
from .core.task import Task
from .core.text import one_line


def distinct(tasks: Sequence[Task]) -> None:
    """Refuse two tasks with one id.

    Raises:
        ConfigError: two tasks have one id.
    """
    seen: set[str] = set()
    for task in tasks:
        if task.id in seen:
            raise ConfigError(f"two tasks have the id {task.id!r}", hint="give each task of a batch its own id")
        seen.add(task.id)


def capable(engine: Engine, task: Task, settings: Mapping[str, Any]) -> None:
    """Refuse an engine that cannot do what a task, or its graph's settings, ask for.

    Raises:
        ConfigError: it lacks something.
    """
    from .engine.registry import capabilities

    logprobs = 0 if settings.get("logprobs") else None
    needs = Sampling(logprobs=logprobs).but(**task.sampling).needs
    require(engine, needs, why=f"the task {task.id}", others=capabilities())


def priced(engines: Mapping[str, Engine]) -> None:
    """Refuse a limit on money where a price is not known: it would not limit anything.

    Raises:
        ConfigError: an engine has no prices.
    """
    for engine in engines.values():
        if most_usd(engine, 1, 1) is None:
            raise ConfigError(
                f"the budget limits money, and the price of the model {engine.info.model} is not known",
                hint="give the engine its prices: input_price=, output_price=; or limit tokens",
            )


def engines_differ(stored: Mapping[str, Json], engines: Mapping[str, Engine]) -> str:
    """In words how engines differ from those that are stored, in the first role where they do; empty if they are the same.

    A role that only one side names has the default engine on the other. One that had none at all may have any.
    """
    for role in (*stored, *sorted(engines.keys() - stored.keys())):
        before, engine = stored.get(role) or stored.get("default"), engines.get(role) or engines.get("default")
        if before is None:
            continue
        described = cast("Mapping[str, Json]", redact(engine.info.to_json() if engine else {}))
        if differ := engine_difference(before, described):
            return differ if role == "default" else f"in the role {one_line(role)!r}, {differ}"
    return ""


def same_engines(spec: RunSpec, engines: Mapping[str, Engine]) -> None:
    """Refuse to go on with a run by another engine than it began with, in any role.

    Raises:
        EngineUnavailable: a role has none, or another one.
    """
    for role in spec.engines:
        if not (engines.get(role) or engines.get("default")):
            raise EngineUnavailable(f"the run used an engine for the role {role!r}, this session has none", hint="give one")
    if differ := engines_differ(spec.engines, engines):
        raise EngineUnavailable(f"the run began with another engine: {differ}", hint="resume with the engine it began with")


def nothing_withheld(spec: RunSpec, settings: Mapping[str, Json]) -> None:
    """Refuse to go on without a secret that was in a run's configuration, and is not stored.

    Raises:
        ConfigError: its settings or its task held one.
    """
    for what, value in (("settings", settings), ("task", spec.task.to_json())):
        if is_withheld(value):
            raise ConfigError(
                f"the {what} of the run {spec.id[-8:]} held a secret, and secrets are not stored",
                hint="start a new run; a secret in an environment variable need not be in the configuration",
            )
