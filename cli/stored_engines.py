"""The engines of stored runs: made as they were made for them, but for what flags name anew."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from ..core.errors import BurnishError, ConfigError
from ..core.ids import Json, canonical_json
from .engines import Made, made_of, recipe_for, role_recipes
from .output import short
from .project import Project, load_project

if TYPE_CHECKING:
    from ..core.runs import RunSpec


@dataclass(frozen=True, kw_only=True)
class EngineFlags:
    """What a command line says of engines. What it leaves open is as stored."""

    engine: str | None = None
    """Instead of the one for all roles that have none of their own."""
    model: str | None = None
    args: Sequence[str] = ()
    roles: Sequence[str] = ()
    """ROLE=ENGINE."""


AS_STORED = EngineFlags()


@dataclass(frozen=True)
class Group:
    """Runs that share their engines."""

    made: Made
    specs: list[RunSpec]


def grouped(
    specs: Sequence[RunSpec], flags: EngineFlags = AS_STORED, refused: dict[str, BurnishError] | None = None
) -> list[Group]:
    """Runs by their engines. Those whose engine cannot be made are noted in `refused` by their ids, if it is given.

    Raises:
        ConfigError: how an engine was made is not stored, or it cannot be made again.
        EngineUnavailable: what it needs is not there.
    """
    project = load_project() if flags != AS_STORED else Project()
    groups: dict[str, Group] = {}
    failed: dict[str, BurnishError] = {}
    for spec in specs:
        key = ""
        try:
            recipes = _recipes(spec, flags, project)
            key = canonical_json(recipes)
            if key in failed:
                raise failed[key]
            if key not in groups:
                groups[key] = Group(made_of(recipes), [])
            groups[key].specs.append(spec)
        except BurnishError as e:
            if refused is None:
                raise
            refused[spec.id] = e
            if key:
                failed[key] = e
    return list(groups.values())


def _recipes(spec: RunSpec, flags: EngineFlags, project: Project) -> dict[str, Mapping[str, Json]]:
    """By role. What is named anew for all roles also serves those of which nobody knows how their engines were made."""
    stored = {role: _recipe(engine) for role, engine in (spec.engines or {"default": None}).items()}
    changed = _changed(stored.get("default"), flags, project)
    # The run's roles are stored; those of the file are for runs that begin.
    roles = role_recipes(flags.roles, Project(engines=project.engines))
    out: dict[str, Mapping[str, Json]] = {"default": changed} if changed else {}
    for role, recipe in stored.items():
        if role in roles or (changed and (role == "default" or "default" not in stored or recipe is None)):
            continue
        if recipe is None:
            what = f"how the engine of the run {short(spec.id)} was made is not stored"
            raise ConfigError(what, hint=f"name the engine for the role {role!r}: --engine NAME")
        out[role] = recipe
    return {**out, **roles}


def _changed(before: Mapping[str, Json] | None, flags: EngineFlags, project: Project) -> dict[str, Json] | None:
    """The recipe that flags ask for instead of the one for all roles; None if they leave it as it is."""
    if flags.engine is not None:
        return recipe_for(flags.engine, flags.model, flags.args, project)
    if flags.model is None and not flags.args:
        return None
    if before is None:
        raise ConfigError("--model and --engine-arg change an engine, and how it was made is not stored", hint="--engine NAME")
    kind, args = str(before["engine"]), cast("Mapping[str, Any]", before.get("args", {}))
    return recipe_for(kind, flags.model or cast("str | None", before.get("model")), flags.args, Project(engines={kind: args}))


def _recipe(stored: Json) -> Mapping[str, Json] | None:
    recipe = stored.get("recipe") if isinstance(stored, Mapping) else None
    return recipe if isinstance(recipe, Mapping) else None
