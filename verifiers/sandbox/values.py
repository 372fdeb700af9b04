"""Values on their way between tests and code.

What is plain data is copied, by what it holds and never by what it says of itself: the other side gets new objects of
exact built-in types, so no method of the sender's ever runs there. All else stays where it is, and the other side gets
a reference. Cycles and very deep values are refused with RecursionError.
"""

from __future__ import annotations

import builtins
import importlib
import operator
import sys
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, cast

_SEQUENCES: dict[type[Any], str] = {
    list: "list",
    tuple: "tuple",
    set: "set",
    frozenset: "frozenset",
    deque: "deque",
}
_MAKERS: dict[str, Callable[[list[Any]], object]] = {name: kind for kind, name in _SEQUENCES.items()}
_CONSTRUCTED: dict[str, Callable[[Any], list[object]]] = {
    "decimal.Decimal": lambda v: [str(v)],
    "fractions.Fraction": lambda v: [v.numerator, v.denominator],
    "datetime.date": lambda v: [v.year, v.month, v.day],
    "datetime.time": lambda v: [v.hour, v.minute, v.second, v.microsecond],
    "datetime.datetime": lambda v: [v.year, v.month, v.day, v.hour, v.minute, v.second, v.microsecond],
    "datetime.timedelta": lambda v: [v.days, v.seconds, v.microseconds],
}
_BASES = (bool, int, float, complex, str, bytes, bytearray, range, list, tuple, set, frozenset, dict, deque)
_TYPES = (object, *_BASES)


class Unreadable(BaseException):
    """What came is no value."""


def plain_base(value: object) -> type[Any] | None:
    """The plain type that a value is of, or derives from."""
    return next((base for base in _BASES if isinstance(value, base)), None)


def encode(value: Any, refer: Callable[[object], object]) -> object:
    """A value as JSON; `refer` describes objects that are no plain data, or raises."""
    kind = cast("type[Any]", type(value))
    if value is None or kind in (bool, str, float):
        return value
    if kind is int:
        return value if -(2**60) < value < 2**60 else ["int", hex(value)]
    if kind in _SEQUENCES:
        return [_SEQUENCES[kind], *[encode(item, refer) for item in value]]
    if kind is dict:
        return ["dict", *[[encode(k, refer), encode(v, refer)] for k, v in value.items()]]
    return _rare(value, kind, refer)


def _rare(value: Any, kind: type[Any], refer: Callable[[object], object]) -> object:
    if kind in (bytes, bytearray):
        return [kind.__name__, value.hex()]
    if kind is complex:
        return ["complex", value.real, value.imag]
    if kind is range:
        return ["range", value.start, value.stop, value.step]
    name = f"{kind.__module__}.{kind.__qualname__}"
    if name in _CONSTRUCTED and getattr(value, "tzinfo", None) is None:
        return ["made", name, *_CONSTRUCTED[name](value)]
    if isinstance(value, type) and _type_named(value.__name__) is value:
        return ["type", value.__name__]
    base = plain_base(value)
    if base and kind.__module__.partition(".")[0] in sys.stdlib_module_names:
        return encode(as_plain(value, base), refer)  # defaultdict, Counter, OrderedDict, ...
    return refer(value)


def as_plain(value: Any, base: type[Any]) -> object:
    """The plain part of an object of a derived type, past all that its class redefines."""
    if base is dict:
        return _copy_of_dict(value)
    if base is str:
        return str.__str__(value)
    if base is int:
        return int.__add__(value, 0)
    if base is float:
        return float.__add__(value, 0.0)
    if base in _SEQUENCES:
        return base(base.__iter__(value))
    raise TypeError(f"a {type(value).__name__} is no plain value")


_copy_of_dict = cast("Callable[[Any], object]", dict.copy)


def decode(data: Any, resolve: Callable[[list[Any]], object]) -> object:
    """The value that JSON stands for; `resolve` takes references.

    Raises:
        Unreadable: it stands for none.
    """
    if not isinstance(data, list):
        if isinstance(data, dict):
            raise Unreadable("an object")
        return data
    try:
        return _decoded(cast("list[Any]", data), resolve)
    except Unreadable:
        raise
    except (TypeError, ValueError, ArithmeticError, IndexError, KeyError, AttributeError) as e:
        raise Unreadable(str(e)) from None


def _decoded(data: list[Any], resolve: Callable[[list[Any]], object]) -> object:
    tag, *rest = data
    if tag in _MAKERS:
        return _MAKERS[tag]([decode(item, resolve) for item in rest])
    match tag:
        case "dict":
            return {decode(k, resolve): decode(v, resolve) for k, v in rest}
        case "int":
            return int(rest[0], 16)
        case "bytes":
            return bytes.fromhex(rest[0])
        case "bytearray":
            return bytearray.fromhex(rest[0])
        case "complex":
            return complex(*rest)
        case "range":
            return range(*map(operator.index, rest))
        case "made":
            return _constructed(rest)
        case "type":
            return _type_named(rest[0]) or _unknown(rest[0])
        case _:
            return resolve(data)


def _type_named(name: str) -> type | None:
    """A built-in type of plain data or of errors."""
    found = getattr(builtins, name, None)
    return found if found in _TYPES or (isinstance(found, type) and issubclass(found, BaseException)) else None


def _unknown(what: object) -> object:
    raise Unreadable(str(what))


def _constructed(rest: list[Any]) -> object:
    name, *arguments = rest
    if name not in _CONSTRUCTED or not all(isinstance(a, int | str) for a in arguments):
        raise Unreadable(str(name))
    module, _, attribute = name.partition(".")
    return cast("Mapping[str, Any]", vars(importlib.import_module(module)))[attribute](*arguments)
