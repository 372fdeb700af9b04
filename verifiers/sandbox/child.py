"""The process of the code: runs it, and does with its objects what the tests ask for.

The code lives in this very interpreter and may change anything in it. That is why nothing here decides: what it can
send are values and errors, as if its functions had returned and raised them.
"""

from __future__ import annotations

import builtins
import operator
import sys
import traceback
import types
from collections import deque
from collections.abc import Callable
from typing import Any

from . import values, wire
from .peer import Peer

MODULE = "solution"
"""Name of the module that the code is."""
FILE = "<answer>"
_MUTABLE: tuple[type[Any], ...] = (list, dict, set, bytearray, deque)
_MODULE_NAMES = {*vars(types.ModuleType("")), "__builtins__"}


def serve(pipes: tuple[int, int], prelude: str, code: str, most: int) -> None:
    """Load the prelude and the code behind it as one module, say what it defines, and answer until the tests are through."""
    if prelude and not prelude.endswith("\n"):
        prelude += "\n"
    child = _Child(pipes, prelude + code, prelude.count("\n"), most)
    try:
        child.peer.send(child.answered(child.load))
        while True:
            match child.peer.receive():
                case ["ask", *request]:
                    child.peer.send(child.perform(request))
                case _:
                    return
    except (wire.Closed, values.Unreadable):
        return


class _Child:
    def __init__(self, pipes: tuple[int, int], source: str, before: int, most: int) -> None:
        self.peer = Peer(*pipes, most=most, serve=self.perform, error=_error)
        self._source = source
        self._lines = source.splitlines()
        self._before = before

    def load(self) -> dict[str, object]:
        """Run the code as a module; its names."""
        compiled = compile(self._source, FILE, "exec", dont_inherit=True)
        module = types.ModuleType(MODULE)
        sys.modules[MODULE] = module
        exec(compiled, module.__dict__)
        return {name: _described(value) for name, value in vars(module).items() if name not in _MODULE_NAMES}

    def perform(self, request: list[Any]) -> list[Any]:
        """Do one thing that the tests ask for."""
        return self.answered(lambda: self._perform(request))

    def answered(self, action: Callable[[], object]) -> list[Any]:
        """The answer that an action makes, its error included."""
        try:
            return ["ok", self.peer.encode(action())]
        except (wire.Closed, values.Unreadable):
            raise
        except BaseException as e:
            return ["error", self._info(e)]
        finally:
            _flush()

    def _perform(self, request: list[Any]) -> object:
        what, *data = request
        arguments = [self.peer.decode(d) for d in data]
        if what != "call":
            return _OPERATIONS[what](*arguments)
        function: Callable[..., object] = arguments[0]
        positional: tuple[object, ...] = arguments[1]
        named: dict[str, object] = arguments[2]
        value = function(*positional, **named)
        before: list[tuple[object, object]] = [*enumerate(data[1][1:]), *data[2][1:]]
        after: list[tuple[object, object]] = [*enumerate(positional), *named.items()]
        changes: dict[object, object] = {}
        for (place, sent), (_, item) in zip(before, after, strict=True):
            if isinstance(item, _MUTABLE) and self.peer.encode(item) != sent:
                changes[place] = item
        return [value, changes]

    def _info(self, error: BaseException) -> dict[str, Any]:
        """What the tests are told of an error."""
        try:
            arguments = self.peer.encode(list(error.args))
            text = error.msg if isinstance(error, SyntaxError) and error.filename == FILE else str(error)
        except BaseException:
            arguments, text = None, ""
        names = [c.__name__ for c in type(error).__mro__ if issubclass(c, BaseException)]
        return {"types": names, "arguments": arguments, "text": text[:2000], "where": self._where(error)}

    def _where(self, error: BaseException) -> str:
        """The last line of the answer that an error passed through."""
        lines = [f.lineno for f in traceback.extract_tb(error.__traceback__, limit=-200) if f.filename == FILE]
        number = error.lineno if isinstance(error, SyntaxError) and error.filename == FILE else lines[-1] if lines else None
        if not number or number > len(self._lines):
            return ""
        text = self._lines[number - 1].strip()[:200]
        own = number - self._before
        return f"line {own}: {text}" if own > 0 else f"the given beginning, line {number}: {text}"


def _described(value: object) -> tuple[object, ...]:
    """A name's value, so that the tests can tell modules and exceptions from others."""
    if isinstance(value, types.ModuleType):
        return ("module", value.__name__)
    classes: list[type] = list(value.__mro__) if isinstance(value, type) else []
    if BaseException in classes and getattr(builtins, classes[0].__name__, None) is not value:
        return ("exception", value, [c.__name__ for c in classes[1:] if issubclass(c, BaseException)])
    return ("value", value)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except Exception:
            continue


def _error(info: dict[str, Any]) -> BaseException:
    """An error of a function that a test handed over, as the code meets it."""
    kind = getattr(builtins, str(info.get("type")), None)
    error = kind if isinstance(kind, type) and issubclass(kind, Exception) else RuntimeError
    return error(str(info.get("text")))


def _next(iterator: Any) -> list[object]:
    for item in iterator:
        return [item]
    return []


def _plain(value: Any) -> list[object]:
    base = values.plain_base(value)
    return [values.as_plain(value, base)] if base else []


def _isinstance(kind: Any, value: object) -> bool:
    return isinstance(value, kind)


def _operator(left: object, name: str, right: object) -> object:
    return getattr(operator, name)(left, right)


def _unary(value: object, name: str) -> object:
    return getattr(operator, name)(value)


_OPERATIONS: dict[str, Callable[..., object]] = {
    "getattr": getattr,
    "setattr": setattr,
    "getitem": operator.getitem,
    "setitem": operator.setitem,
    "delitem": operator.delitem,
    "len": len,
    "bool": bool,
    "str": str,
    "repr": repr,
    "float": float,
    "int": int,
    "iter": iter,
    "next": _next,
    "plain": _plain,
    "isinstance": _isinstance,
    "operator": _operator,
    "unary": _unary,
}
