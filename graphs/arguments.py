"""The settings of a graph that a function makes: they have to fit its parameters, as far as these say what they take."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

from ..core.errors import ConfigError
from ..core.ids import Json

_PLAIN = (int, float, bool, str, NoneType)


def call_with(make: Callable[..., Any], settings: Mapping[str, Json]) -> object:
    """Call a function with the settings as its keyword arguments.

    Raises:
        ConfigError: it lacks one, has no such parameter, or a value is not what the parameter takes.
    """
    signature = inspect.signature(make)
    known = ", ".join(map(str, signature.parameters.values())) or "none"
    try:
        signature.bind(**settings)
    except TypeError as e:
        raise ConfigError(f"the graph's settings do not fit: {e}", hint=f"settings: {known}") from None
    for name, annotation in _annotations(make).items():
        if name in settings and not _takes(annotation, settings[name]):
            raise ConfigError(f"the graph's setting {name} cannot be {settings[name]!r}", hint=f"settings: {known}")
    return make(**settings)


def _annotations(make: Callable[..., Any]) -> dict[str, Any]:
    try:
        signature = inspect.signature(make, eval_str=True)
    except Exception:  # Written as text, and of names that are not there when it runs.
        return {}
    return {name: p.annotation for name, p in signature.parameters.items() if p.kind is not inspect.Parameter.VAR_KEYWORD}


def _takes(annotation: Any, value: Json) -> bool:
    """Whether a parameter takes a value; of what is not plain nobody can say."""
    options = get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,)
    return any(_is(option, value) for option in options)


def _is(kind: Any, value: Json) -> bool:
    if get_origin(kind) is Literal:
        return value in get_args(kind)
    if kind not in _PLAIN:
        return True
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    return isinstance(value, kind) and (kind is bool or not isinstance(value, bool))
