"""`burnish run FILE.json`: a run by the configuration that another one left (`burnish runs export-config`)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from ..core.budget import Budget
from ..core.errors import ConfigError
from ..core.ids import Json
from ..core.runs import RunSpec
from ..core.task import Task
from ..core.text import one_line
from .export_config import FORMAT
from .output import quiet_stdout, say
from .project import load_project
from .running import one, opened, show_one
from .signals import Signals, drive
from .stored_engines import AS_STORED, EngineFlags, Group, grouped
from .tasks import check_task
from .values import pairs, verifier_of

if TYPE_CHECKING:
    from ..core.result import Result

_KEYS = ("graph", "settings", "task", "seed", "budget", "engines")
_ABOUT = ("burnish_run", "burnish", "run")


@dataclass(frozen=True, kw_only=True)
class Flags:
    """What the command line changes."""

    settings: Sequence[str] = ()
    verifier: str | None = None
    budget: str | None = None
    seed: int | None = None
    engines: EngineFlags = AS_STORED
    store: str | None = None


def rerun(file: str, flags: Flags, *, as_json: bool) -> int:
    """Run a configuration. Returns the exit status.

    Raises:
        ConfigError: the file is no configuration, or what it asks for cannot be done.
    """
    from ..graphs.registry import build_graph

    spec = _changed(read_config(Path(file)), flags)
    with quiet_stdout():
        build_graph(spec.graph, spec.settings)
        check_task(spec.task)
        (group,) = grouped([spec], flags.engines)
        ended = drive(lambda signals: _run(spec, group, flags.store, signals))
    return show_one(ended, as_json=as_json, store=flags.store)


def read_config(path: Path) -> RunSpec:
    """What a configuration says is to be done; as a run without an id.

    Raises:
        ConfigError: it cannot be read, or is none; the message names what is wrong.
    """
    try:
        value: Any = json.loads(path.read_text(encoding="utf-8"))
    except OSError as e:
        raise ConfigError(f"{path} cannot be read: {e.strerror}", hint="write one: burnish runs export-config ID") from None
    except (ValueError, RecursionError) as e:
        raise ConfigError(f"{path} is no JSON: {one_line(str(e), 200)}", hint="burnish runs export-config ID") from None
    if not isinstance(value, dict) or cast("dict[str, Any]", value).get("burnish_run") != FORMAT:
        raise ConfigError(
            f"{path} is no configuration of a run", hint=f'it has "burnish_run": {FORMAT}; tasks go with --tasks FILE.jsonl'
        )
    found = cast("dict[str, Any]", value)
    if unknown := sorted(found.keys() - {*_KEYS, *_ABOUT}):
        raise ConfigError(f"{path} has an unknown key {one_line(unknown[0])!r}", hint=f"keys: {', '.join(_KEYS)}")
    kinds: dict[str, type] = {"graph": str, "settings": dict, "task": dict, "seed": int, "budget": dict, "engines": dict}
    for name, kind in kinds.items():
        if not isinstance(found.get(name), kind) or isinstance(found.get(name), bool):
            raise ConfigError(f"{path}: {name} is missing, or is no {kind.__name__}", hint="burnish runs export-config ID")
    engines: dict[str, Json] = {role: {"recipe": recipe} for role, recipe in found["engines"].items()}
    return RunSpec(
        id="",
        task=Task.from_json(found["task"]),
        graph=found["graph"],
        settings=found["settings"],
        seed=found["seed"],
        budget=Budget.of(found["budget"]),
        engines=engines,
    )


def _changed(spec: RunSpec, flags: Flags) -> RunSpec:
    task = spec.task
    if flags.verifier is not None:
        task = replace(task, verifier=None if flags.verifier == "none" else verifier_of(flags.verifier))
    return replace(
        spec,
        task=task,
        settings={**spec.settings, **pairs(flags.settings, "--set")},
        seed=spec.seed if flags.seed is None else flags.seed,
        budget=spec.budget if flags.budget is None else Budget.of(flags.budget),
    )


async def _run(spec: RunSpec, group: Group, store: str | None, signals: Signals) -> Result:
    from ..session import Session

    session = Session(engines=group.made.engines, store=store or load_project().store, recipes=group.made.recipes)
    async with opened(session, signals, group.made.name) as running:
        work = running.run(
            spec.graph,
            spec.task,
            settings=spec.settings,
            budget=spec.budget,
            seed=spec.seed,
            on_start=lambda run_id: say(f"run {run_id}"),
        )
        return await one(running, work)
