"""The worker's side of `json_schema` and `pydantic_model`: parse, validate, and find how far the text is right."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

_SPACE = re.compile(r"[ \t\r\n]*")
_MOST_ERRORS = 10
_MOST_STARTS = 50
_STAYS = ("additionalProperties", "maxProperties", "patternProperties", "propertyNames", "unevaluatedProperties")
"""Keywords that a longer object cannot satisfy where a shorter one does not."""


def validate(schema: str, text: str, whole: bool) -> dict[str, Any]:
    """Check the JSON value in `text` against a schema, given as JSON text.

    The result has `parsed`, whether there was a value; `errors`, sentences, none if all is well; and `valid_prefix`,
    how many characters from the beginning can be kept, None if that cannot be told.
    """
    validator = _validator(schema)
    try:
        start, value, _ = read(text, whole)
        found = sorted(validator.iter_errors(value), key=lambda e: [str(p) for p in e.absolute_path])
    except ValueError as e:
        said, parsed, start = [str(e)], False, text.find("{")
    except RecursionError:
        said, parsed, start = ["the JSON is nested too deep"], False, -1
    else:
        said, parsed = [f"at /{'/'.join(map(str, e.absolute_path))}: {_short(e.message)}" for e in found], True
    more = [f"and {len(said) - _MOST_ERRORS} more errors"] if len(said) > _MOST_ERRORS else []
    prefix = good_prefix(text, start, lambda members: not _broken(validator, members)) if said else None
    return {"parsed": parsed, "errors": said[:_MOST_ERRORS] + more, "valid_prefix": prefix}


@functools.lru_cache(maxsize=32)
def _validator(schema: str) -> Any:
    from .json_schema import validator

    return validator(json.loads(schema))


def read(text: str, whole: bool) -> tuple[int, Any, int]:
    """Where the JSON value begins, the value, and where it ends: the whole text, or the first object or array in it.

    Raises:
        ValueError: there is none; the message says why.
    """
    start = _skip(text, 0)
    if whole:
        value, end = _decode(text, start)
        if text[end:].strip():
            raise ValueError(f"there is text after the JSON value, at character {end}")
        return start, value, end
    problem = "there is no JSON object or array in the text"
    for match in list(re.finditer(r"[\[{]", text))[:_MOST_STARTS]:
        try:
            return match.start(), *_decode(text, match.start())
        except ValueError as e:
            problem = problem if "not valid" in problem else str(e)
    raise ValueError(problem)


def _decode(text: str, start: int) -> tuple[Any, int]:
    try:
        return json.JSONDecoder(parse_constant=_refuse).raw_decode(text, start)
    except json.JSONDecodeError as e:
        raise ValueError(f"the JSON is not valid: {e.msg} at character {e.pos}") from None


def _refuse(name: str) -> object:
    raise ValueError(f"the JSON is not valid: {name} is no JSON number")


def good_prefix(text: str, start: int, accepts: Callable[[Mapping[str, Any]], bool]) -> int | None:
    """The end of the longest run of members, from the beginning of the object at `start`, that may yet become right.

    None if no object begins there. `accepts` says whether more members could make these right.
    """
    if start < 0 or text[start] != "{":
        return None
    good, members = start + 1, dict[str, Any]()
    try:
        for key, value, end in _members(text, start):
            members[key] = value
            if not accepts(members):
                break
            good = end
    except (ValueError, RecursionError):
        pass
    return good


def _broken(validator: Any, members: Mapping[str, Any]) -> bool:
    return any(e.absolute_path or e.validator in _STAYS for e in validator.iter_errors(members))


def _members(text: str, start: int) -> Iterator[tuple[str, Any, int]]:
    """Members of the object that begins at `start`, with where each ends, its comma included; up to what is broken."""
    at = _skip(text, start + 1)
    while text[at : at + 1] == '"':
        key, at = _decode(text, at)
        at = _skip(text, at)
        if text[at : at + 1] != ":":
            return
        value, end = _decode(text, _skip(text, at + 1))
        at = _skip(text, end)
        comma = text[at : at + 1] == ","
        if not comma and at == len(text) and isinstance(value, int | float):
            return
        yield key, value, at + 1 if comma else end
        if not comma:
            return
        at = _skip(text, at + 1)


def _skip(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at


def _short(message: str) -> str:
    return message if len(message) <= 200 else message[:199] + "…"
