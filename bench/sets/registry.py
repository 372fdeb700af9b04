"""Task sets by name, and the rule by which a subset is drawn.

Every set has one order under a seed, made from hashes of its tasks' ids. A limit takes the beginning of it, so a subset is the
same on every machine and a larger one begins with the smaller one. No data is shipped: a set that needs some takes a folder.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from ...core.errors import ConfigError
from ...core.ids import text_hash
from ...core.task import Task
from ...core.text import one_line

SETS: dict[str, str] = {
    "micro": ".micro:MICRO",
    "gsm8k": ".gsm8k:GSM8K",
    "spider": ".spider:SPIDER",
    "humaneval": ".humaneval:HUMANEVAL",
    "game24": ".game24:GAME24",
    "bbh": ".bbh:BBH",
    "hotpotqa": ".hotpotqa:HOTPOTQA",
    "hotpotqa_distractor": ".hotpotqa:HOTPOTQA_DISTRACTOR",
    "natural_plan": ".natural_plan:NATURAL_PLAN",
    "procbench": ".procbench:PROCBENCH",
    "reasoning_gym": ".reasoning_gym:REASONING_GYM",
    "shop": ".shop:SHOP",
}
"""Where each set is defined, by name; nothing of a set is imported before it is asked for."""

DATA_VARIABLE = "BURNISH_DATA"
"""Environment variable with the folder that holds the data where none is given."""


@dataclass(frozen=True, kw_only=True)
class TaskSet:
    """A set of tasks with a grader each, and with a verifier where one is possible that could be deployed."""

    name: str
    about: str
    """What is asked, in one line."""
    source: str
    """Where the data comes from: repository and commit, or the generator."""
    licence: str
    """Licence of the data, as far as it is known."""
    needs_data: bool
    """Whether the tasks are read from a folder."""
    size: int | None
    """Number of tasks; None if that depends on the folder or on nothing."""
    load: Callable[[Path | None, int], Sequence[Task]]
    """From folder and seed to all tasks, in a fixed order."""
    folder: str = ""
    """Usual name of the set's own folder; empty for the name of the set."""
    files: tuple[str, ...] = ()
    """Files that the folder must hold, some of them `*` patterns. Without any, `load` gets the folder as it is given."""


def task_set(name: str) -> TaskSet:
    """The set of this name.

    Raises:
        ConfigError: no set has this name.
    """
    if name not in SETS:
        raise ConfigError(f"no task set is called {one_line(name)!r}", hint=f"one of: {', '.join(SETS)}")
    module, _, attribute = SETS[name].partition(":")
    return cast("TaskSet", getattr(importlib.import_module(module, __package__), attribute))


def load_tasks(name: str, folder: Path | None = None, *, limit: int | None = None, seed: int = 0, start: int = 0) -> list[Task]:
    """Tasks of a set in the order of the seed: `limit` of them (None for all), from position `start`.

    `folder` is the set's own folder or the one that holds it; None takes the environment variable BURNISH_DATA.

    Raises:
        ConfigError: no set has this name, its files are missing or malformed, or there is no task at `start`.
    """
    found = task_set(name)
    if start < 0 or (limit is not None and limit < 1):
        raise ConfigError(f"limit {limit} from {start} takes no tasks", hint="a limit is 1 or more, a start 0 or more")
    tasks = found.load(data_folder(found, folder), seed)
    if start >= len(tasks):
        raise ConfigError(f"{name} has {len(tasks)} tasks, none at {start}", hint="a smaller start")
    order = sorted(tasks, key=lambda task: text_hash(f"{seed}:{task.id}"))
    return order[start : None if limit is None else start + limit]


def data_folder(of: TaskSet, folder: Path | None = None) -> Path | None:
    """The folder that holds the set's files: the given one, or one below it. A set that needs no data gets what is given.

    Raises:
        ConfigError: the set needs data and none is there.
    """
    given = folder or (Path(value) if (value := os.environ.get(DATA_VARIABLE)) else None)
    if not of.needs_data:
        return given
    more = f", ... ({len(of.files)} files)" if len(of.files) > 4 else ""
    wanted = f"the task set {of.name} reads {', '.join(of.files[:4])}{more}"
    hint = f"--data FOLDER, or the environment variable {DATA_VARIABLE}: the folder {of.folder or of.name}, or what holds it"
    if given is None:
        raise ConfigError(f"{wanted}, and no folder is given", hint=hint)
    for place in (given, given / (of.folder or of.name), given / of.name):
        if place.is_dir() and all(any(place.glob(file)) for file in of.files):
            return place.absolute()
    raise ConfigError(f"{wanted}, and they are not in {one_line(str(given), 200)}", hint=hint)
