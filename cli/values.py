"""Values on the command line: `key=value`, where the value is JSON if it parses as JSON, else text."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, cast

from ..core.errors import ConfigError
from ..core.ids import Json
from ..core.target import absolute, is_target
from ..core.text import one_line


def value_of(text: str) -> Json:
    """`3`, `0.5`, `true`, `null`, `[1]`, `{"a": 1}` as JSON; anything else, NaN included, as it is.

    What names a file's object gets the file's whole path, so that the run can be resumed from another folder.
    """
    try:
        return json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return placed(text, Path.cwd())


def placed(value: Any, folder: Path) -> Any:
    """A value in which `file.py:attribute` has the file's whole path, where there is such a file in this folder."""
    if isinstance(value, Mapping):
        return {name: placed(inner, folder) for name, inner in cast("Mapping[str, Any]", value).items()}
    if isinstance(value, list):
        return [placed(inner, folder) for inner in cast("list[Any]", value)]
    if not isinstance(value, str) or ".py:" not in value or not is_target(value):
        return value
    file, _, attribute = value.rpartition(":")
    kind, colon, rest = file.partition(":")  # as in python:check.py:function
    head, place = (f"{kind}:", rest) if colon else ("", file)
    return f"{head}{(folder / place).resolve()}:{attribute}" if (folder / place).is_file() else value


def pairs(given: Iterable[str], flag: str) -> dict[str, Json]:
    """Settings from `key=value` texts; the last one of a key holds.

    Raises:
        ConfigError: a text has no `=` or no key.
    """
    out: dict[str, Json] = {}
    for text in given:
        key, sign, value = text.partition("=")
        if not sign or not key.strip():
            raise ConfigError(f"{flag} {one_line(text)!r} is no key=value", hint=f"as in {flag} max_tokens=64")
        out[key.strip()] = value_of(value)
    return out


def verifier_of(text: str) -> Json:
    """A verifier from the command line: a name, a short form, or a JSON object, as `make_verifier` reads them.

    Paths of files are made absolute, so that the run can be resumed from another folder.

    Raises:
        ConfigError: it looks like JSON and is none.
    """
    text = text.strip()
    if text.startswith("{"):
        try:
            return json.loads(text, parse_constant=_refuse)
        except (ValueError, RecursionError) as e:
            raise ConfigError(
                f"--verifier is no JSON: {e}", hint='as in --verifier \'{"name": "regex", "pattern": "yes"}\''
            ) from None
    name, colon, rest = text.partition(":")
    if colon and ".py:" in rest:
        return f"{name}:{absolute(rest)}"
    return absolute(text)


def _refuse(name: str) -> object:
    raise ValueError(f"{name} is no JSON")
