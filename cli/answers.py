"""Answers of which it is known whether they are right, from a JSON Lines file or stdin: one JSON object a line."""

from __future__ import annotations

import json
import sys
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, cast

from ..core.errors import ConfigError
from ..core.text import one_line

if TYPE_CHECKING:
    from ..compare.audit import Answer

_FORM = '{"task": "ID", "text": "...", "right": true}'
_FIELDS = {"task": str, "text": str, "right": bool, "model": str, "truncated": bool, "reasoning": str}


def read_answers(source: str, task_ids: Collection[str]) -> dict[str, list[Answer]]:
    """Read all answers, by task id, in their order. `-` is stdin.

    Raises:
        ConfigError: naming the file and the line; or there are none.
    """
    name = "stdin" if source == "-" else source
    try:
        data = sys.stdin.buffer.read() if source == "-" else Path(source).read_bytes()
    except OSError as e:
        raise ConfigError(f"the answers file {name} cannot be read: {e.strerror}", hint="check the path; - reads stdin") from None
    known = set(task_ids)
    found: dict[str, list[Answer]] = {}
    for at, line in enumerate(data.removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1):
        if not line.strip():
            continue
        try:
            task_id, answer = _answer(line)
        except ConfigError as e:
            raise ConfigError(f"{name}:{at}: {e.message}", hint=e.hint or f"one object a line, as {_FORM}") from None
        if task_id not in known:
            raise ConfigError(f"{name}:{at}: there is no task {one_line(task_id)!r}", hint="use the ids of the tasks file")
        found.setdefault(task_id, []).append(answer)
    if not found:
        raise ConfigError(f"there is no answer in {name}", hint=f"one object a line, as {_FORM}")
    return found


def _answer(line: bytes) -> tuple[str, Answer]:
    from ..compare.audit import Answer

    value = _object(line)
    if unknown := sorted(value.keys() - _FIELDS):
        raise ConfigError(f"unknown field {', '.join(map(repr, unknown))}", hint=f"fields: {', '.join(_FIELDS)}")
    for name, kind in _FIELDS.items():
        if name in value and not isinstance(value[name], kind):
            given = one_line(json.dumps(value[name]), 40)
            raise ConfigError(f"the field {name!r} is {given}", hint="a text" if kind is str else "true or false")
    if missing := [name for name in ("task", "text") if name not in value]:
        raise ConfigError(f"the field {missing[0]!r} is missing")
    if value.get("right") and not str(value["text"]).strip():
        raise ConfigError("an empty answer cannot be right")
    fields = {k: v for k, v in value.items() if k != "task"}
    return str(value["task"]), Answer(**fields)  # pyright: ignore[reportArgumentType]


def _object(line: bytes) -> Mapping[str, object]:
    try:
        value: object = json.loads(line.decode("utf-8"))
    except UnicodeDecodeError as e:
        raise ConfigError(f"no UTF-8 at byte {e.start + 1}", hint="save the file as UTF-8") from None
    except (ValueError, RecursionError) as e:
        raise ConfigError(f"no JSON: {one_line(str(e), 100)}") from None
    if not isinstance(value, Mapping):
        raise ConfigError(f"a {type(value).__name__} is no answer")
    return cast("Mapping[str, object]", value)
