"""From flags and the project's file to an engine, and to the recipe that is stored with its runs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..core.errors import ConfigError
from ..core.ids import Json
from .project import Project

if TYPE_CHECKING:
    from ..core.engine import Engine

DEFAULT = "vllm"


@dataclass(frozen=True)
class Made:
    """An engine that has not been started, and how to make it again."""

    engine: Engine
    recipe: Json
    name: str


def chosen_engine(name: str | None, model: str | None, given: Iterable[str], project: Project) -> Made:
    """The engine that flags ask for; what they leave open the project's file says.

    Raises:
        ConfigError: there is no such engine, or an argument that it does not take.
        EngineUnavailable: what it needs is not installed.
    """
    from ..engine.registry import from_recipe, recipe

    name = name or project.engine or DEFAULT
    args: dict[str, Any] = {**project.engines.get(name, {})}
    told = args.pop("model", None)
    for text in given:
        key, sign, value = text.partition("=")
        if not sign or not key.strip():
            raise ConfigError(f"--engine-arg {text!r} is no key=value", hint="as in --engine-arg max_num_seqs=64")
        args[key.strip()] = value
    # Made from the recipe, as a resumed run will: paths are absolute in both, so that both are the same engine.
    stored = recipe(name, model or told, args)
    return Made(from_recipe(stored), stored, name)
