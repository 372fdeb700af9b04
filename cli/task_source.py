"""Where a command's tasks come from: a file of one's own, or a task set by its name."""

from __future__ import annotations

from pathlib import Path

from ..core.errors import ConfigError
from ..core.ids import text_hash
from ..core.task import Task


def listed_tasks(tasks: str | None, benchmark: str | None, data: str | None, limit: int | None, seed: int) -> list[Task]:
    """The tasks of a JSON Lines file (`-` is stdin), or of a task set whose files are in the folder `data`
    (which a file of tasks does not need).

    With a limit a random subset: the same everywhere under one seed, and a larger one begins with a smaller one.

    Raises:
        ConfigError: neither or both are named, a line is no task, no set has this name, or its files are missing.
    """
    if (tasks is None) == (benchmark is None):
        what = "no tasks are given" if tasks is None else "both a tasks file and a task set are given"
        raise ConfigError(what, hint="--tasks FILE.jsonl, or --benchmark NAME")
    if limit is not None and limit < 1:
        raise ConfigError(f"a limit of {limit} takes no tasks", hint="--limit 1 or more")
    if benchmark is not None:
        from ..bench.sets.registry import load_tasks

        return load_tasks(benchmark, Path(data).expanduser() if data else None, limit=limit, seed=seed)
    from .tasks import read_tasks

    assert tasks is not None
    listed = read_tasks(tasks)
    return listed if limit is None else sorted(listed, key=lambda task: text_hash(f"{seed}:{task.id}"))[:limit]
