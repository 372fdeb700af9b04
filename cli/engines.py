"""From flags and the project's file to the engines of a session, and to the recipes that are stored with its runs.

An engine is named by what makes it, or by a table `[engines.NAME]` of the file that says so itself (`engine = "server"`). All
roles have the one engine, but those that are given another one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, cast

from ..core.errors import ConfigError
from ..core.ids import Json, canonical_json
from ..core.text import one_line
from .output import say
from .project import Project

if TYPE_CHECKING:
    from ..core.engine import Engine

DEFAULT = "vllm"
ROLES = (
    "completion",
    "constraint",
    "critic",
    "executor",
    "judge",
    "proposer",
    "reader",
    "recall",
    "reward",
    "selection",
)
"""Roles that agents and verifiers of burnish have unless told otherwise."""


@dataclass(frozen=True)
class Made:
    """Engines by role that have not been started, and how to make them again. `default` serves all roles that are not named."""

    engines: Mapping[str, Engine]
    recipes: Mapping[str, Json]

    @property
    def engine(self) -> Engine:
        """The one for all roles that have none of their own."""
        return self.engines["default"]

    @property
    def recipe(self) -> Json:
        """How to make that one again."""
        return self.recipes["default"]

    @property
    def name(self) -> str:
        """What the engines are called."""
        kinds = {str(cast("Mapping[str, Json]", recipe).get("engine")) for recipe in self.recipes.values()}
        return ", ".join(sorted(kinds))


def made_of(recipes: Mapping[str, Mapping[str, Json]]) -> Made:
    """Engines out of recipes; roles with one recipe have one engine.

    Raises:
        ConfigError: an engine cannot be made.
        EngineUnavailable: what it needs is not there.
    """
    from ..engine.registry import from_recipe

    made = {text: from_recipe(recipe) for text, recipe in {canonical_json(r): r for r in recipes.values()}.items()}
    return Made({role: made[canonical_json(recipe)] for role, recipe in recipes.items()}, dict(recipes))


def chosen_engine(name: str | None, model: str | None, given: Iterable[str], project: Project, roles: Iterable[str] = ()) -> Made:
    """The engines that flags ask for; what they leave open the project's file says.

    Raises:
        ConfigError: there is no such engine, or an argument that it does not take.
        EngineUnavailable: what it needs is not installed.
    """
    # Made from recipes, as a resumed run will: paths are absolute in both, so that both are the same engine.
    return made_of(
        {"default": recipe_for(name or project.engine or DEFAULT, model, given, project), **role_recipes(roles, project)}
    )


def engine_for_run(
    name: str | None,
    model: str | None,
    given: Iterable[str],
    project: Project,
    roles: Iterable[str],
    asked: Iterable[Json],
) -> Made:
    """As `chosen_engine`; where vLLM is not asked for by name, an engine in the background that fits stands in for it.

    `asked` is what decides on fitting besides: the graph's settings, and the tasks' verifiers and graders.
    """
    default = _default(name, model, given, project)
    if name is None and default["engine"] == DEFAULT:
        default = _background(default, asked) or default
    return made_of({"default": default, **role_recipes(roles, project)})


def role_recipes(given: Iterable[str], project: Project) -> dict[str, dict[str, Json]]:
    """By role, how its own engine is made: what flags say goes before the file.

    Raises:
        ConfigError: a flag is no ROLE=ENGINE, or there is no such engine.
    """
    named = dict(project.roles)
    for text in given:
        role, sign, engine = (part.strip() for part in text.partition("="))
        if not sign or not role or not engine:
            raise ConfigError(f"--role {one_line(text)!r} is no ROLE=ENGINE", hint="as in --role judge=server")
        if role == "default":
            raise ConfigError("the role default is that of all others", hint=f"--engine {engine}")
        named[role] = engine
    for role in named:
        if role not in ROLES and (near := get_close_matches(role, ROLES, n=1, cutoff=0.75)):
            say(f"note: nothing in burnish has the role {one_line(role)!r}; did you mean {near[0]}?")
    return {role: recipe_for(engine, None, (), project) for role, engine in named.items()}


def recipe_for(name: str, model: str | None, given: Iterable[str], project: Project) -> dict[str, Json]:
    """How the engine of this name is made, with the arguments that flags and the file give it.

    Raises:
        ConfigError: a text of `given` has no `=`, or the file says what cannot be.
    """
    from ..engine.registry import recipe

    args: dict[str, Any] = {**project.engines.get(name, {})}
    kind, told = args.pop("engine", name), args.pop("model", None)
    for key, value in (("engine", kind), ("model", told)):
        if not isinstance(value, str | None):
            raise ConfigError(f"engines.{name}: {key} is not a text", hint=f'as in {key} = "..."')
    for text in given:
        key, sign, value = text.partition("=")
        if not sign or not key.strip():
            raise ConfigError(f"--engine-arg {text!r} is no key=value", hint="as in --engine-arg max_num_seqs=64")
        args[key.strip()] = value
    return recipe(kind, model or told, args)


def _default(name: str | None, model: str | None, given: Iterable[str], project: Project) -> dict[str, Json]:
    # An empty name is a variable of the shell that was not set, and no wish for the default.
    return recipe_for(project.engine or DEFAULT if name is None else name, model, given, project)


def _background(wanted: Mapping[str, Json], asked: Iterable[Json]) -> dict[str, Json] | None:
    """The recipe of an engine in the background that does as well; None if there is none, and why where one is there."""
    from ..engine.up_state import names

    if not names():
        return None
    from ..engine import background
    from ..engine.models import DEFAULT_MODEL
    from ..engine.registry import recipe

    model, args = cast("str | None", wanted["model"]), cast("Mapping[str, Any]", wanted["args"])
    found, why = background.fitting(model or DEFAULT_MODEL, args)
    if found is None or any(map(_reads_tokens, asked)):
        if why := why or "a server does not tell its tokens, which a judge by probability reads":
            say(f"engine: {DEFAULT}, for this run alone: {why}")
        return None
    say(f"engine: {found.name} in the background, on {found.url} (--engine {DEFAULT} starts one for the run alone)")
    return recipe("background", *background.recipe_of(found))


def _reads_tokens(value: Json) -> bool:
    """Whether a judge is described here that looks up tokens by their numbers, which only an engine in this process tells."""
    if isinstance(value, Mapping):
        return value.get("by") == "probability" or any(map(_reads_tokens, value.values()))
    return isinstance(value, list) and any(map(_reads_tokens, value))
