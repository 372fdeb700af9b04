"""Verifiers by name: what a command line, a tasks file or a graph says, made into a verifier."""

from __future__ import annotations

import dataclasses
import functools
import json
import os
from collections.abc import Callable, Mapping
from typing import Any, cast

from ..core.errors import ConfigError
from ..core.extensions import Extension, extension, extensions
from ..core.ids import canonical_json
from ..core.target import load_target
from ..core.text import one_line
from ..core.verdict import Verifier
from .answer_match import AnswerMatch
from .combine import AllOf, Combined, FirstOf, check_task
from .constraints import Constraints
from .ensemble import MeanOf, MinOf, Vote
from .exact import Exact
from .json_schema import JsonSchema
from .math_equal import MathEqual
from .numeric import Numeric
from .pydantic_model import PydanticModel
from .python_function import PythonFunction
from .python_tests import PythonTests
from .regex import Regex
from .sql_execution import SqlExecution
from .sqlite_query import SqliteQuery
from .supported import Supported
from .wrappers import Noisy, Sparse

__all__ = ["VERIFIERS", "check_task", "make_verifier"]

VERIFIERS: Mapping[str, str] = {
    "all_of": "passes if all of several verifiers pass",
    "answer_match": "the short answer agrees with a reference by exact match, F1 or accuracy",
    "constraints": "declarative checks on the text: words, lengths, lists, patterns",
    "environment_reward": "the reward of the environment in which the answer came about",
    "exact": "the extracted answer equals the reference",
    "first_of": "a cascade: the first of several verifiers that decides",
    "json_schema": "the answer's JSON satisfies a JSON Schema",
    "llm_judge": "the model scores the answer by a rubric",
    "math_equal": "the answer equals the reference as mathematics, however it is written",
    "mean_of": "the mean score of several verifiers reaches a threshold",
    "min_of": "the lowest score of several verifiers reaches a threshold",
    "noisy": "another verifier, made to err now and then",
    "numeric": "the answer's number equals the expected one within a tolerance",
    "pydantic_model": "a pydantic model validates the answer's JSON, `pydantic:module:Model`",
    "python_function": "a function of your own, `python:module:function` or `file.py:function`",
    "python_tests": "the answer's Python passes tests, run in a sandbox",
    "regex": "a regular expression matches the answer",
    "reward_model": "a reward model rates the answer",
    "sparse": "another verifier, made to say less",
    "sql_execution": "the answer's SQL runs on SQLite or PostgreSQL, and gives what the reference query gives",
    "sqlite_query": "sql_execution for SQLite alone",
    "supported": "the answer, or what it quotes, stands in the passages",
    "verification_agent": "the model scores a plan from -100 to 100 against the task's constraints",
    "vote": "enough of several verifiers pass, a majority by default",
}
"""What each built-in verifier does, in a line."""

_CLASSES: dict[str, type[Any]] = {
    "all_of": AllOf,
    "answer_match": AnswerMatch,
    "constraints": Constraints,
    "exact": Exact,
    "first_of": FirstOf,
    "json_schema": JsonSchema,
    "math_equal": MathEqual,
    "mean_of": MeanOf,
    "min_of": MinOf,
    "noisy": Noisy,
    "numeric": Numeric,
    "pydantic_model": PydanticModel,
    "python_function": PythonFunction,
    "python_tests": PythonTests,
    "regex": Regex,
    "sparse": Sparse,
    "sql_execution": SqlExecution,
    "sqlite_query": SqliteQuery,
    "supported": Supported,
    "vote": Vote,
}
_AGENTS = f"{__name__.partition('.')[0]}.agents"
_ENVIRONMENTS = f"{__name__.partition('.')[0]}.environments"
_TARGETS = {
    "environment_reward": f"{_ENVIRONMENTS}.reward:EnvironmentReward",
    "llm_judge": f"{_AGENTS}.judge:LlmJudge",
    "reward_model": f"{_AGENTS}.reward:RewardModel",
    "verification_agent": f"{_AGENTS}.verification:VerificationAgent",
}
"""Verifiers that live on a floor above, found by name."""
_MAIN = {
    "answer_match": "scorer",
    "environment_reward": "environment",
    "exact": "extract",
    "json_schema": "schema",
    "llm_judge": "rubric",
    "math_equal": "extract",
    "numeric": "expected",
    "pydantic_model": "model",
    "python_function": "function",
    "regex": "pattern",
    "sql_execution": "database",
    "sqlite_query": "database",
    "supported": "what",
}
"""The argument that follows the name and a colon."""
_ALIASES = {"pydantic": "pydantic_model", "python": "python_function"}


def make_verifier(spec: object) -> Verifier:
    """A verifier from its name, a short form (`regex:PATTERN`), an object `{"name": ..., arguments}`, or itself.

    A name `python:module:attribute` or `file.py:attribute` may stand for a function, which runs in a worker process
    with a timeout of 30 s, or for a verifier or its class. A function given as such runs in this process.

    Raises:
        ConfigError: an unknown name, a wrong argument, or something that is no verifier.
    """
    if isinstance(spec, str):
        return _named(spec.strip(), os.getcwd())
    if isinstance(spec, Mapping):
        described = cast("Mapping[str, Any]", spec)
        try:
            text = canonical_json(described)
        except (TypeError, ValueError, RecursionError):
            return _from_object(described)
        return _named(text, os.getcwd())
    if isinstance(spec, type):
        return _from_class(cast("type[object]", spec))
    if isinstance(spec, Verifier):
        return spec
    if callable(spec):
        return PythonFunction(function=spec)
    raise ConfigError(f"a {type(spec).__name__} is no verifier", hint='a name, such as "exact", or {"name": "exact"}')


@functools.lru_cache(maxsize=512)
def _named(text: str, folder: str) -> Verifier:
    """Verifiers keep no state, so one serves all tasks that describe the same; `folder` is what paths are relative to."""
    if text.startswith("{"):
        try:
            value = json.loads(text)
        except (ValueError, RecursionError) as e:
            raise ConfigError(f"the verifier is no JSON: {one_line(str(e), 200)}", hint='{"name": "exact"}') from None
        return _from_object(value)
    name, colon, argument = text.partition(":")
    if name.endswith(".py") and colon:
        return _from_object({"name": "python_function", "function": text})
    if not colon:
        return _from_object({"name": name})
    name = _known(name)
    if name not in _MAIN or not argument:
        raise ConfigError(f"{name} cannot be written as {one_line(text)!r}", hint=f'{{"name": "{name}", ...}}')
    return _from_object({"name": name, _MAIN[name]: argument})


def _from_object(spec: Mapping[str, Any]) -> Verifier:
    if not isinstance(spec.get("name"), str):
        raise ConfigError("the verifier has no name", hint=f'{{"name": ...}}, one of: {", ".join(VERIFIERS)}')
    arguments = {key: value for key, value in spec.items() if key != "name"}
    if spec["name"] not in VERIFIERS and (found := extension("verifier", spec["name"])) is not None:
        return _extension(found, arguments)
    name = _known(spec["name"])
    if name == "python_function":
        return _python_function(arguments)
    if issubclass(verifier_class(name), Combined):
        parts = arguments.get("verifiers", ())
        if not isinstance(parts, list | tuple):
            raise ConfigError(f"{name}: verifiers is no list", hint='"verifiers": ["numeric", "exact"]')
        arguments["verifiers"] = tuple(make_verifier(part) for part in cast("list[object]", parts))
    if name in ("noisy", "sparse") and "verifier" in arguments:
        arguments["verifier"] = make_verifier(arguments["verifier"])
    return _build(name, arguments)


def _extension(found: Extension, arguments: Mapping[str, Any]) -> Verifier:
    """A distribution's verifier: a dataclass takes arguments as the built-in ones do, all else what a target would."""
    loaded = found.load()
    if isinstance(loaded, type) and dataclasses.is_dataclass(loaded):
        made: object = loaded(**_typed(found.name, cast("type[Any]", loaded), arguments))
        if not isinstance(made, Verifier):
            raise ConfigError(f"{found.name} is no verifier", hint=f"mend {found.origin}")
        return made
    return _python_function({"function": found.target, **arguments})


def _known(name: str) -> str:
    name = _ALIASES.get(name, name)
    if name not in VERIFIERS:
        known = [*VERIFIERS, *(e.name for e in extensions("verifier", VERIFIERS) if not e.refused)]
        forms = f"one of: {', '.join(known)}; or python:module:function, file.py:function"
        raise ConfigError(f"no verifier is called {one_line(name)!r}", hint=forms)
    return name


def _build(name: str, arguments: Mapping[str, Any]) -> Verifier:
    return verifier_class(name)(**_typed(name, verifier_class(name), arguments))


def _typed(name: str, kind: type[Any], arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments checked for name, presence and type."""
    fields = {f.name: f for f in dataclasses.fields(kind)}
    if unknown := sorted(arguments.keys() - fields.keys()):
        raise ConfigError(f"{name} has no argument {', '.join(unknown)}", hint=f"one of: {', '.join(fields)}")
    required = [n for n, f in fields.items() if f.default is f.default_factory is dataclasses.MISSING]
    if missing := [n for n in required if n not in arguments]:
        raise ConfigError(f"{name} needs the argument {', '.join(missing)}", hint=f'{{"name": "{name}", "{missing[0]}": ...}}')
    return _converted(name, kind, arguments)


def verifier_class(name: str) -> type[Any]:
    return _CLASSES[name] if name in _CLASSES else cast("type[Any]", load_target(_TARGETS[name], what="verifier"))


def _converted(name: str, kind: type[Any], arguments: Mapping[str, Any]) -> dict[str, Any]:
    from typing import get_type_hints

    from pydantic import ConfigDict, TypeAdapter, ValidationError

    hints = get_type_hints(kind)
    typed: dict[str, Any] = {}
    for key, value in arguments.items():
        if key in ("verifier", "verifiers"):
            typed[key] = value
            continue
        try:
            typed[key] = TypeAdapter[Any](hints[key], config=ConfigDict(allow_inf_nan=False)).validate_python(value)
        except ValidationError as e:
            why = one_line(e.errors()[0]["msg"], 200)
            raise ConfigError(f"{name}: the argument {key} is {one_line(repr(value), 60)}", hint=why) from None
    return typed


def _python_function(arguments: Mapping[str, Any]) -> Verifier:
    ref = arguments.get("function")
    found = load_target(ref, what="verifier") if isinstance(ref, str) else None
    if isinstance(found, type):
        return _only(_from_class(cast("type[object]", found)), arguments)
    if found is not None and isinstance(found, Verifier):
        return _only(found, arguments)
    return _build("python_function", {"timeout": PythonFunction.default_timeout, **arguments})


def _only(verifier: Verifier, arguments: Mapping[str, Any]) -> Verifier:
    if len(arguments) > 1:
        more = ", ".join(sorted(arguments.keys() - {"function"}))
        raise ConfigError(f"{arguments['function']} is a verifier and takes no {more}", hint="only functions take arguments")
    return verifier


def _from_class(kind: Callable[[], object]) -> Verifier:
    label = getattr(kind, "__name__", "the class")
    try:
        made = kind()
    except TypeError as e:
        raise ConfigError(f"{label} cannot be made without arguments: {one_line(str(e), 200)}", hint="name an instance") from None
    if not isinstance(made, Verifier):
        raise ConfigError(f"{label} is no verifier", hint="it needs name, version, oracle, judges_truncated and verify()")
    return made
