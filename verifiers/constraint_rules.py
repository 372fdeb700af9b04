"""From the checks that a user writes to rules: validated, taken apart, each with its sentence of feedback."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

from ..core.errors import ConfigError
from .checks import Rule
from .regex import compiled

_COUNTED = {"words": "word", "sentences": "sentence", "lines": "line", "chars": "character"}
_ITEM_OPTIONS = ("separator", "whole", "count", "distinct", "starts_with", "matches")


@dataclass(frozen=True)
class Worded:
    """A rule with what to say where it is violated."""

    rule: Rule
    feedback: str

    @property
    def has_pattern(self) -> bool:
        """Whether it holds a regular expression, which must run where it can be killed."""
        kind, arguments = self.rule
        return kind == "matches" or arguments.get("test") == "matches"


def rules_of(check: object) -> list[Worded]:
    """The rules that one check stands for.

    Raises:
        ConfigError: naming the check that is unknown or malformed.
    """
    if not isinstance(check, Mapping):
        raise ConfigError(f"constraints: the check {check!r} is no object", hint='{"contains": "fox"}')
    fields = dict(cast("Mapping[str, Any]", check))
    message = fields.pop("message", None)
    if len(fields) != 1:
        raise ConfigError(f"constraints: a check has the keys {', '.join(fields) or 'none'}", hint="one kind of check in each")
    ((kind, value),) = fields.items()
    if kind not in _PARSERS:
        raise ConfigError(f"constraints: unknown check {kind!r}", hint=f"one of: {', '.join(_PARSERS)}")
    rules = list(_PARSERS[kind](kind, value))
    return rules if message is None else [replace(rule, feedback=_text("message", message)) for rule in rules]


def _bounds(
    kind: str, value: Any, say: Callable[[str, int], str], arguments: Mapping[str, Any] | None = None
) -> Iterator[Worded]:
    """One rule for each bound that is set: a number, or `min`, `max`, `exact`."""
    bounds = {"exact": value} if isinstance(value, int) else value
    if not isinstance(bounds, Mapping) or not bounds or bounds.keys() - {"min", "max", "exact"}:
        raise ConfigError(f"constraints: {kind} is {value!r}", hint='a number, or {"min": 3, "max": 9}')
    for name, number in cast("Mapping[str, Any]", bounds).items():
        if isinstance(number, bool) or not isinstance(number, int) or number < 0:
            raise ConfigError(f"constraints: {kind} has {name} {number!r}", hint="a whole number, 0 or more")
        least, most = (None if name == "max" else number), (None if name == "min" else number)
        words = {"exact": "exactly", "min": "at least", "max": "at most"}[name]
        if arguments is None:
            yield Worded((kind, {"least": least, "most": most}), say(words, number))
        else:
            yield Worded(("items", {**arguments, "test": "count", "value": [least, most]}), say(words, number))


def _counted(kind: str, value: Any) -> Iterator[Worded]:
    noun, verb = _COUNTED[kind], "write" if kind in ("sentences", "lines") else "use"
    return _bounds(kind, value, lambda words, number: f"{verb} {words} {_number(number, noun)}")


def _words(kind: str, value: Any) -> Iterator[Worded]:
    must = "must appear" if kind == "contains" else "must not appear"
    for word in _texts(kind, [value] if isinstance(value, str) else value):
        yield Worded((kind, {"value": word}), f'the word "{word}" {must}')


def _one_of(kind: str, value: Any) -> Iterator[Worded]:
    words = _texts(kind, value)
    yield Worded((kind, {"value": words}), f"mention exactly one of: {', '.join(words)}")


def _edge(kind: str, value: Any) -> Iterator[Worded]:
    verb = "start" if kind == "starts_with" else "end"
    yield Worded((kind, {"value": _text(kind, value)}), f'the text must {verb} with "{value}"')


def _matches(kind: str, value: Any) -> Iterator[Worded]:
    compiled(_text(kind, value))
    yield Worded((kind, {"value": value}), f"the text must match {value}")


def _json_keys(kind: str, value: Any) -> Iterator[Worded]:
    for key in _texts(kind, value):
        yield Worded(("json_key", {"value": key}), f'the JSON object must have the key "{key}"')


def _items(kind: str, value: Any) -> Iterator[Worded]:
    if not isinstance(value, Mapping) or value.keys() - set(_ITEM_OPTIONS):
        raise ConfigError(f"constraints: items is {value!r}", hint=f"an object with: {', '.join(_ITEM_OPTIONS)}")
    options = cast("Mapping[str, Any]", value)
    separator = _text("separator", options.get("separator", ","))
    base = {"separator": separator, "whole": _flag("whole", options.get("whole", False))}
    parted = "one on a line" if separator == "\n" else f'separated by "{separator}"'
    if "count" in options:
        yield from _bounds("items", options["count"], lambda words, n: f"give {words} {_number(n, 'item')} {parted}", base)
    if _flag("distinct", options.get("distinct", False)):
        yield Worded(("items", {**base, "test": "distinct"}), "no item may repeat")
    if "starts_with" in options:
        start = _text("starts_with", options["starts_with"])
        yield Worded(("items", {**base, "test": "starts_with", "value": start}), f'every item must start with "{start}"')
    if "matches" in options:
        pattern = _text("matches", options["matches"])
        compiled(pattern)
        yield Worded(("items", {**base, "test": "matches", "value": pattern}), f"every item must match {pattern}")


_PARSERS: dict[str, Callable[[str, Any], Iterator[Worded]]] = {
    "contains": _words,
    "excludes": _words,
    "one_of": _one_of,
    "words": _counted,
    "sentences": _counted,
    "lines": _counted,
    "chars": _counted,
    "starts_with": _edge,
    "ends_with": _edge,
    "matches": _matches,
    "json_keys": _json_keys,
    "items": _items,
}


def _number(number: int, noun: str) -> str:
    return f"{'one' if number == 1 else number} {noun}{'' if number == 1 else 's'}"


def _text(name: str, value: object) -> str:
    if not isinstance(value, str) or not value:
        raise ConfigError(f"constraints: {name} is {value!r}", hint="a text that is not empty")
    return value


def _texts(name: str, value: object) -> list[str]:
    if not isinstance(value, list | tuple) or not value:
        raise ConfigError(f"constraints: {name} is {value!r}", hint="a list of texts")
    return [_text(name, one) for one in cast("list[object]", value)]


def _flag(name: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise ConfigError(f"constraints: {name} is {value!r}", hint="true or false")
    return value
