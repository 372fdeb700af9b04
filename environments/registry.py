"""Environments by name: what a command line or a graph's settings say, as something that makes one for each episode."""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Mapping
from typing import Any, cast

from ..core.environment import Environment, Maker
from ..core.errors import ConfigError
from ..core.target import is_target, load_target
from ..core.text import one_line

ENVIRONMENTS: Mapping[str, str] = {
    "shop": "a small synthetic shop: search, choose, buy; WebShop's reward",
    "sql": "a SQLite database to query before submitting; InterCode's reward",
}
"""What each built-in environment is, in a line."""

_TARGETS = {"shop": f"{__package__}.shop:Shop", "sql": f"{__package__}.sql:Sql"}


def environment_maker(spec: object) -> Maker:
    """A maker from a name, an object `{"name": ..., arguments}`, a target (`file.py:attribute`), or a function or class.

    Raises:
        ConfigError: an unknown name, a wrong argument, or something that makes no environment.
    """
    if isinstance(spec, str) and spec.lstrip().startswith("{"):
        try:
            spec = json.loads(spec)
        except (ValueError, RecursionError):
            raise ConfigError(f"the environment is no JSON: {one_line(str(spec))!r}", hint='{"name": "sql"}') from None
    if isinstance(spec, str):
        spec = {"name": spec}
    if isinstance(spec, Mapping):
        return _described(cast("Mapping[str, Any]", spec))
    return _checked(spec, one_line(repr(spec), 60))


def _described(spec: Mapping[str, Any]) -> Maker:
    name = spec.get("name")
    if not isinstance(name, str):
        raise ConfigError("the environment has no name", hint=f'{{"name": ...}}, one of: {", ".join(ENVIRONMENTS)}')
    arguments = {key: value for key, value in spec.items() if key != "name"}
    if name in _TARGETS:
        kind = cast("type[Any]", load_target(_TARGETS[name], what="environment"))
        return _checked(functools.partial(kind, **_typed(name, kind, arguments)), name)
    if not is_target(name):
        forms = f"one of: {', '.join(ENVIRONMENTS)}; or module:attribute, file.py:attribute"
        raise ConfigError(f"no environment is called {one_line(name)!r}", hint=forms)
    found = load_target(name, what="environment")
    return _checked(functools.partial(cast("Any", found), **arguments) if callable(found) else found, name)


def _checked(make: object, name: str) -> Maker:
    """The maker, if what it makes is an environment."""
    if not callable(make):
        raise ConfigError(f"{name} makes no environment", hint="give a class, or a function that returns a fresh one each time")
    try:
        made = make()
    except TypeError as e:
        raise ConfigError(f"the environment {name} cannot be made: {one_line(str(e), 200)}", hint="check its arguments") from None
    if not isinstance(made, Environment):
        needs = "name, version, oracle, tools, check, reset, step, reward and close"
        raise ConfigError(f"{name} makes no environment, but a {type(made).__name__}", hint=f"it needs {needs}")
    return cast("Maker", make)


def _typed(name: str, kind: type[Any], arguments: Mapping[str, Any]) -> dict[str, Any]:
    from typing import get_type_hints

    from pydantic import ConfigDict, TypeAdapter, ValidationError

    known = [f.name for f in dataclasses.fields(kind) if f.init]
    if unknown := sorted(arguments.keys() - set(known)):
        raise ConfigError(f"{name} has no argument {', '.join(unknown)}", hint=f"one of: {', '.join(known) or 'none'}")
    hints, typed = get_type_hints(kind), dict[str, Any]()
    for key, value in arguments.items():
        try:
            typed[key] = TypeAdapter[Any](hints[key], config=ConfigDict(allow_inf_nan=False)).validate_python(value)
        except ValidationError as e:
            why = one_line(e.errors()[0]["msg"], 200)
            raise ConfigError(f"{name}: the argument {key} is {one_line(repr(value), 60)}", hint=why) from None
    return typed
