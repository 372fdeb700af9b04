"""The worker's side of the `pydantic_model` verifier: parse, validate, and find how far the text is right."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic.errors import PydanticUserError
from pydantic_core import ErrorDetails

from ..core.errors import ConfigError
from ..core.target import load_target
from .json_worker import good_prefix, read

_MOST_ERRORS = 5


def adapter(model: Any, name: str) -> TypeAdapter[Any]:
    """What validates values by a model.

    Raises:
        ConfigError: it is nothing that pydantic validates.
    """
    try:
        return TypeAdapter[Any](model)
    except (PydanticUserError, TypeError, NameError) as e:
        said = str(e).partition("\n")[0]
        raise ConfigError(f"{name} is no model: {said}", hint="give a pydantic model, or a type that it validates") from None


def validate(ref: str, text: str, whole: bool) -> dict[str, Any]:
    """Check the JSON value in `text` against the model that `ref` names.

    The result is that of `json_worker.validate`: `parsed`, `errors`, `valid_prefix`.
    """
    model = _adapter(ref)
    try:
        start, _, end = read(text, whole)
    except ValueError as e:
        said, parsed, start = [str(e)], False, text.find("{")
    except RecursionError:
        return {"parsed": False, "errors": ["the JSON is nested too deep"], "valid_prefix": None}
    else:
        said, parsed = [_sentence(e) for e in _errors(model, text[start:end])], True
    more = [f"and {len(said) - _MOST_ERRORS} more errors"] if len(said) > _MOST_ERRORS else []
    prefix = good_prefix(text, start, lambda members: _may_become_right(model, members)) if said else None
    return {"parsed": parsed, "errors": said[:_MOST_ERRORS] + more, "valid_prefix": prefix}


@functools.lru_cache(maxsize=32)
def _adapter(ref: str) -> TypeAdapter[Any]:
    return adapter(load_target(ref, what="model"), ref)


def _errors(model: TypeAdapter[Any], text: str) -> list[ErrorDetails]:
    try:
        model.validate_json(text.encode("utf-8", "replace"))
    except ValidationError as e:
        return e.errors(include_url=False, include_context=False, include_input=False)
    return []


def _sentence(error: ErrorDetails) -> str:
    return f"at /{'/'.join(map(str, error['loc']))}: {error['msg']}"


def _may_become_right(model: TypeAdapter[Any], members: Mapping[str, Any]) -> bool:
    """Whether the only errors are of the whole, or of members that are missing from it."""
    wrong = (e for e in _errors(model, json.dumps(members)) if e["loc"] and not (e["type"] == "missing" and len(e["loc"]) == 1))
    return next(wrong, None) is None
