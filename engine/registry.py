"""Engines by name, for the command line and for resuming: from texts to an engine, and back to what is stored.

An engine's arguments are the keyword parameters of its factory; their annotations say how a text is read.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from ..core.engine import Capabilities, Engine
from ..core.errors import ConfigError
from ..core.extensions import extension
from ..core.ids import Json, as_json
from ..core.redact import is_withheld
from ..core.target import absolute, is_target, load_target
from ..core.text import one_line


@dataclass(frozen=True)
class EngineKind:
    """A built-in engine."""

    target: str
    """Its factory, imported when it is used."""
    description: str
    """One line."""
    capabilities: Capabilities
    """What it can do unless told otherwise."""


SCRIPTED = Capabilities(
    logprobs=True, scoring=True, choice=True, seed=True, token_prefix=True, steps=True, abort=True, reasoning=True
)
SERVED = Capabilities(
    logprobs=True,
    json_schema=True,
    choice=True,
    regex=True,
    grammar=True,
    seed=True,
    prefix_cache=True,
    steps=True,
    abort=True,
    reasoning=True,
)
"""What vLLM can do through its server; in a process of ours it does more."""
ENGINES: Mapping[str, EngineKind] = {
    "background": EngineKind(
        "burnish.engine.background:KeptEngine",
        "a model that burnish engine up keeps loaded",
        SERVED,
    ),
    "litellm": EngineKind(
        "burnish.engine.lite:LiteLLMEngine",
        "a hosted model through litellm, with prices: --model provider/name",
        Capabilities(abort=True),
    ),
    "scripted": EngineKind(
        "burnish.engine.pretend:scripted",
        "no model: scripted replies, for trying things out and for tests",
        SCRIPTED,
    ),
    "server": EngineKind(
        "burnish.engine.server:ServerEngine",
        "a model on a server with OpenAI's protocol, such as vllm serve: what it can do is asked at the start",
        Capabilities(abort=True),
    ),
    "vllm": EngineKind(
        "burnish.engine.vllm:VLLMEngine",
        "a local model in vLLM, in processes of its own",
        replace(SERVED, scoring=True, token_prefix=True),
    ),
}
"""By name. Any other engine is an extension's, or is named by its factory: `module:attribute` or `file.py:attribute`."""


def capabilities() -> dict[str, Capabilities]:
    """What each built-in engine can do, for messages of `core.engine.require`."""
    return {name: kind.capabilities for name, kind in ENGINES.items()}


def make_engine(name: str, model: str | None = None, args: Mapping[str, Any] | None = None) -> Engine:
    """An engine by name, with arguments as texts (or as JSON values, from a stored recipe).

    Raises:
        ConfigError: an unknown engine, or an argument that it does not take, naming those that it does.
        EngineUnavailable: what the engine needs is not installed.
    """
    factory = load_target(_target(name), what="engine")
    if not callable(factory):
        raise ConfigError(
            f"the engine {name} is a {type(factory).__name__}", hint="name a class or function that makes an engine"
        )
    values = _arguments(name, factory, args or {})
    if model is not None:
        if "model" not in inspect.signature(factory).parameters:
            raise ConfigError(f"the engine {name} takes no model", hint="leave --model out")
        values["model"] = model
    try:
        inspect.signature(factory).bind(**values)
    except TypeError as e:
        hint = "--model NAME" if "'model'" in str(e) else _accepted(factory)
        raise ConfigError(f"the engine {name} cannot be made: {one_line(str(e), 200)}", hint=hint) from None
    engine = factory(**values)
    if not isinstance(engine, Engine):
        raise ConfigError(f"the factory {name} made a {type(engine).__name__}", hint="it must return an engine")
    return engine


def recipe(name: str, model: str | None = None, args: Mapping[str, Any] | None = None) -> dict[str, Json]:
    """How to make an engine again, in another process and folder; stored with a run."""
    texts = {key: absolute(v) if isinstance(v, str) and is_target(v) else as_json(v) for key, v in (args or {}).items()}
    here = Path(model).expanduser() if model else None
    place = str(here.resolve()) if here and here.exists() else model
    return {"engine": absolute(name), "model": place, "args": texts}


def from_recipe(value: Mapping[str, Any]) -> Engine:
    """The engine of a stored recipe.

    A recipe may name any code to be imported, as a run's graph does: resume only runs from a database that you trust.

    Raises:
        ConfigError: it is no recipe, or the engine cannot be made.
    """
    name, model, args = value.get("engine"), value.get("model"), value.get("args", {})
    if not isinstance(name, str) or not isinstance(model, str | None) or not isinstance(args, Mapping):
        raise ConfigError("the stored engine is no recipe", hint="name the engine: --engine NAME")
    if withheld := [key for key, given in cast("Mapping[str, Json]", args).items() if is_withheld(given)]:
        what = f"the engine {name} was given a secret as {', '.join(withheld)}, and secrets are not stored"
        raise ConfigError(what, hint=f"give it again: --engine {name} --engine-arg {withheld[0]}=..., and its other arguments")
    return make_engine(name, model, cast("Mapping[str, Any]", args))


def _target(name: str) -> str:
    if name in ENGINES:
        return ENGINES[name].target
    if not is_target(name):
        if (found := extension("engine", name)) is not None:
            found.load()
            return found.target
        known = "; ".join(f"{n} ({kind.description})" for n, kind in ENGINES.items())
        raise ConfigError(f"no engine is called {name!r}", hint=f"one of: {known}; or module:attribute, file.py:attribute")
    return name


def _parameters(factory: Callable[..., object]) -> dict[str, inspect.Parameter]:
    """The parameters that arguments may name."""
    kinds = (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    found = inspect.signature(factory).parameters.items()
    return {name: p for name, p in found if p.kind in kinds and name not in ("self", "model")}


def _accepted(factory: Callable[..., object]) -> str:
    names = [f"{name} ({_kind(p.annotation)})" for name, p in _parameters(factory).items()]
    return f"arguments: {', '.join(names)}" if names else "it takes no arguments"


def _kind(annotation: Any) -> str:
    if annotation is inspect.Parameter.empty:
        return "text"
    return annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)


def _arguments(name: str, factory: Callable[..., object], args: Mapping[str, Any]) -> dict[str, Any]:
    parameters = _parameters(factory)
    unknown = sorted(args.keys() - parameters.keys())
    if unknown:
        raise ConfigError(f"the engine {name} takes no {', '.join(unknown)}", hint=_accepted(factory))
    return {key: _converted(key, value, parameters[key].annotation, factory) for key, value in args.items()}


def _converted(key: str, value: Any, annotation: Any, factory: Callable[..., object]) -> Any:
    """A text, or a JSON value, as the annotation wants it."""
    from pydantic import TypeAdapter, ValidationError
    from pydantic.errors import PydanticUserError

    wanted = _kind(annotation)
    if annotation is inspect.Parameter.empty:
        return value
    try:
        adapter: TypeAdapter[Any] = TypeAdapter(_resolved(annotation, factory))
    except (NameError, PydanticUserError):
        raise ConfigError(f"{key} is a {wanted}, which cannot be given as text", hint=_accepted(factory)) from None
    try:
        if not isinstance(value, str):
            return adapter.validate_python(value)
        if "None" in wanted and value.lower() in ("none", "null"):
            return None
        return adapter.validate_json(value) if value[:1] in ("{", "[") and wanted != "str" else adapter.validate_strings(value)
    except ValidationError as e:
        reason = one_line(e.errors()[0]["msg"], 200)
        raise ConfigError(f"{key} is {value!r}, not {wanted}: {reason}", hint=_accepted(factory)) from None


def _resolved(annotation: Any, factory: Callable[..., object]) -> Any:
    """The type that an annotation written as text means, where it can be found out."""
    if not isinstance(annotation, str):
        return annotation
    function = factory.__init__ if inspect.isclass(factory) else factory
    return eval(annotation, dict(getattr(function, "__globals__", {})))
