"""Tasks from the command line, a JSON Lines file or stdin: one JSON object a line, as docs/tasks.md says.

Lines of FlashRAG's data sets are read as they are.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import cast

from ..core.errors import ConfigError
from ..core.task import Task
from ..core.text import one_line
from .values import value_of, verifier_of


def tasks_from(prompt: str | None, file: str | None, verifier: str | None, reference: str | None) -> tuple[list[Task], bool]:
    """The tasks that are asked for, checked, and whether they are a batch.

    `verifier` replaces that of each task; `none` takes it away.

    Raises:
        ConfigError: both or neither of prompt and file are given, or a task is wrong; files are named with the line.
    """
    if (prompt is None) == (file is None):
        what = "neither a prompt nor a tasks file" if prompt is None else "both a prompt and a tasks file"
        raise ConfigError(f"there is {what}", hint="burnish run GRAPH PROMPT, or burnish run GRAPH --tasks FILE.jsonl")

    def judged(task: Task) -> Task:
        if verifier is None:
            return task
        return replace(task, verifier=None if verifier == "none" else verifier_of(verifier))

    if file is not None:
        if reference is not None:
            raise ConfigError("--reference goes with a prompt", hint="put it into the tasks file")
        return read_tasks(file, judged), True
    if not prompt or not prompt.strip():
        raise ConfigError("the prompt is empty", hint="burnish run GRAPH PROMPT")
    task = judged(Task(prompt=prompt, reference=None if reference is None else value_of(reference)))
    check_task(task)
    return [task], False


def read_tasks(source: str, change: Callable[[Task], Task] = lambda task: task) -> list[Task]:
    """Read all tasks, change each, and check them before anything starts. `-` is stdin.

    Raises:
        ConfigError: naming the file and the line.
    """
    name = "stdin" if source == "-" else source
    try:
        data = sys.stdin.buffer.read() if source == "-" else Path(source).read_bytes()
    except OSError as e:
        raise ConfigError(f"the tasks file {name} cannot be read: {e.strerror}", hint="check the path; - reads stdin") from None
    tasks: list[Task] = []
    lines: dict[str, int] = {}
    for at, line in enumerate(data.removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1):
        if not line.strip():
            continue
        where = f"{name}:{at}"
        task = change(_task(line, where, source))
        if task.id in lines:
            raise ConfigError(f"{where}: line {lines[task.id]} has the same id {task.id!r}", hint="give each task its own id")
        check_task(task, f"{where}: ")
        lines[task.id] = at
        tasks.append(task)
    if not tasks:
        raise ConfigError(f"there is no task in {name}", hint='one JSON object a line, as {"prompt": "..."}')
    return tasks


def check_task(task: Task, where: str = "") -> None:
    """Make the task's verifier and grader once, so that what is wrong with them is said before anything starts.

    Raises:
        ConfigError: there is no such verifier, its arguments are wrong, or the task lacks what it needs.
    """
    from ..verifiers import registry

    for kind, value in (("verifier", task.verifier), ("grader", task.grader)):
        if value is None:
            continue
        try:
            registry.check_task(registry.make_verifier(value), task)
        except ConfigError as e:
            raise ConfigError(f"{where}{kind}: {e.message}", hint=e.hint) from None


def _task(line: bytes, where: str, source: str) -> Task:
    try:
        value: object = json.loads(line.decode("utf-8"), parse_constant=_refuse)
    except UnicodeDecodeError as e:
        raise ConfigError(f"{where}: no UTF-8 at byte {e.start + 1}", hint="save the file as UTF-8") from None
    except RecursionError:
        raise ConfigError(f"{where}: nested too deep", hint="one flat JSON object a line") from None
    except ValueError as e:
        shown = one_line(line.decode("utf-8", "replace"), 60)
        raise ConfigError(f"{where}: no JSON: {e}", hint=f"the line begins with {shown}") from None
    if not isinstance(value, Mapping):
        raise ConfigError(f"{where}: a {type(value).__name__} is no task", hint='one object a line, as {"prompt": "..."}')
    try:
        return _read(cast("Mapping[str, object]", value), source)
    except ConfigError as e:
        raise ConfigError(f"{where}: {e.message}", hint=e.hint) from None


def _read(value: Mapping[str, object], source: str) -> Task:
    from ..bench.sets.flashrag import flashrag_task, is_flashrag, set_name

    return flashrag_task(value, set_name(source)) if is_flashrag(value) else Task.from_json(value)


def _refuse(name: str) -> object:
    raise ValueError(f"{name} is not allowed")
