"""Asking the model for a typed output: read strictly, asked for once more with the error, then given up.

An engine that can enforce a JSON Schema is asked for JSON; of any other the text is parsed. What cannot be read never
becomes a value: the caller gets None and what was wrong, and decides what that means.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, cast

from ..core.completion import Completion
from ..core.context import Context
from ..core.ids import text_hash
from ..core.prompt import Message, Prompt
from ..core.sampling import Sampling
from ..core.text import one_line
from .templates import fill

T = TypeVar("T")

_FENCE = re.compile(r"```(?:json)?[ \t]*\n(.*)\n[ \t]*```", re.DOTALL)
_QUOTED = 2000
"""Most characters of an unreadable reply that are shown to the model again."""


class Unreadable(ValueError):
    """A reply is not what was asked for. The message goes to the model, so it says what to write instead."""


@dataclass(frozen=True, kw_only=True)
class Form(Generic[T]):
    """One kind of output, in two spellings: what the model is told and how each is read. The readers raise `Unreadable`."""

    text: str
    """How to write it as plain text; fills a template's field `form`."""
    of_text: Callable[[str], T]
    """Reads the plain text."""
    json: str
    """How to write it as JSON; fills the field `form` where the engine enforces the schema."""
    of_json: Callable[[object], T]
    """Reads the parsed JSON."""
    schema: Mapping[str, Any]
    """JSON Schema of the output: every property required, no other allowed."""


@dataclass(frozen=True, kw_only=True)
class Asked(Generic[T]):
    """What came of asking."""

    value: T | None
    """What was read; None if neither reply could be."""
    problem: str
    """What was wrong with the last reply; empty if it could be read."""
    text: str
    """The last reply."""
    calls: int
    """1, or 2 if the first reply could not be read."""


async def ask(
    ctx: Context,
    template: str,
    values: Mapping[str, str],
    form: Form[T],
    sampling: Sampling,
    *,
    role: str,
    structured: bool = True,
    key: str | None = None,
) -> Asked[T]:
    """Fill a template, ask for its answer, read it.

    Args:
        ctx: where in the run the calls stand.
        template: the prompt; its field `form` is filled from `form`.
        values: the template's other fields.
        form: what is asked for.
        sampling: settings of both calls.
        role: role whose engine answers.
        structured: whether to have the schema enforced where the engine can.
        key: key of the first call; the second adds `.again`. Without one both are known by their content.

    Raises:
        GenerationFailed: a call failed.
    """
    enforced = structured and ctx.engine(role).info.capabilities.json_schema
    told = form.json if enforced else form.text
    if enforced:
        sampling = sampling.but(json_schema=form.schema)
    prompt = Prompt.of(fill(template, **values, form=told))
    completion = await ctx.generate(prompt, sampling, role=role, key=key)
    value, problem = _read(completion, form, enforced=enforced)
    if not problem:
        return Asked(value=value, problem="", text=completion.text, calls=1)
    again = _again(prompt, completion.text, problem, told)
    completion = await ctx.generate(again, sampling, role=role, key=key and f"{key}.again")
    value, problem = _read(completion, form, enforced=enforced)
    return Asked(value=value, problem=problem, text=completion.text, calls=2)


def fenced(label: str, text: str) -> str:
    """Text of unknown origin between marks that it cannot contain, for it would have to hold its own hash."""
    mark = f"{label}-{text_hash(text)[:8]}"
    return f"<{mark}>\n{text}\n</{mark}>"


def without(reply: str, quoted: str) -> str:
    """A reply less what it repeats of a `fenced` text, which is not the model's own word."""
    opening, closing = quoted.split("\n", 1)[0], quoted.rsplit("\n", 1)[1]
    return re.sub(f"{re.escape(opening)}.*?(?:{re.escape(closing)}|\\Z)", "", reply, flags=re.DOTALL)


def listed(items: Sequence[str], *, none: str) -> str:
    """Items as a numbered list, each on one line; `none` if there are none."""
    return "\n".join(f"{n}. {' '.join(item.split())}" for n, item in enumerate(items, 1)) or none


def read_json(text: str) -> object:
    """The JSON value that a text is, or that stands in the one code fence that the text is.

    Raises:
        Unreadable: it is none, or has text around it.
    """
    stripped = text.strip()
    fence = _FENCE.fullmatch(stripped)
    try:
        return json.loads(fence.group(1) if fence else stripped, parse_constant=_refuse)
    except (ValueError, RecursionError) as e:
        raise Unreadable(f"the reply is not JSON and nothing else: {one_line(str(e), 100)}") from None


def an_object(value: object, *names: str) -> dict[str, object]:
    """A JSON object that has at least these members.

    Raises:
        Unreadable: it is no object, or lacks one.
    """
    if not isinstance(value, dict):
        raise Unreadable(f"a JSON object with {', '.join(names)} was expected")
    found = cast("dict[str, object]", value)
    if missing := [name for name in names if name not in found]:
        raise Unreadable(f"the JSON object has no {', '.join(missing)}")
    return found


def object_schema(properties: Mapping[str, Any]) -> dict[str, Any]:
    """JSON Schema of an object with these members, all of them and no other."""
    return {"type": "object", "properties": dict(properties), "required": list(properties), "additionalProperties": False}


def a_text(value: object, name: str) -> str:
    """A JSON string.

    Raises:
        Unreadable: it is none.
    """
    if not isinstance(value, str):
        raise Unreadable(f"{name} is not a text")
    return value.strip()


def _read(completion: Completion, form: Form[T], *, enforced: bool) -> tuple[T | None, str]:
    """What was read, or None and why not. A reply that was cut is not read: its last number may lack digits."""
    if completion.finish_reason in ("length", "aborted"):
        return None, "the reply was cut before its end; be shorter"
    try:
        return (form.of_json(read_json(completion.text)) if enforced else form.of_text(completion.text)), ""
    except Unreadable as e:
        return None, str(e)


def _again(prompt: Prompt, reply: str, problem: str, told: str) -> Prompt:
    said = Message("assistant", reply.strip()[-_QUOTED:] or "(nothing)")
    return Prompt((*(prompt.messages or ()), said, Message("user", f"This could not be read: {problem}.\n\n{told}")))


def _refuse(name: str) -> object:
    raise ValueError(f"{name} is no number")
