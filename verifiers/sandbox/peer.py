"""Calls between tests and code, each in a process of its own, over a pair of pipes.

One request is answered at a time; while a side waits for its answer it serves the requests that come in between, so
that code may call a function that a test has handed to it.
"""

from __future__ import annotations

import operator
from collections import deque
from collections.abc import Callable
from typing import Any

from . import values, wire


class Peer:
    """One end of the pipes."""

    def __init__(
        self,
        reader: int,
        writer: int,
        *,
        most: int,
        serve: Callable[[list[Any]], list[Any]],
        error: Callable[[dict[str, Any]], BaseException],
    ) -> None:
        self._reader, self._writer = reader, writer
        self.deadline: float | None = None
        """When waiting for an answer ends, on the monotonic clock."""
        self.may_export: Callable[[object], bool] = lambda _: True
        """Whether an object that is no plain data may be referred to from the other side."""
        self._most = most
        self._serve = serve
        self._error = error
        self._mine: list[object] = []
        self._numbers: dict[int, int] = {}
        self._theirs: dict[int, Remote] = {}

    def send(self, message: list[Any]) -> None:
        """Write a message."""
        wire.write(self._writer, message)

    def receive(self) -> list[Any]:
        """Read a message.

        Raises:
            Unreadable: it is none.
        """
        try:
            message = wire.read(self._reader, most=self._most, deadline=self.deadline)
        except (ValueError, RecursionError):
            raise values.Unreadable("no message") from None
        if not isinstance(message, list) or not message:
            raise values.Unreadable("no message")
        return message  # pyright: ignore[reportUnknownVariableType]

    def ask(self, what: str, *arguments: object) -> Any:
        """Have the other side do something, and wait for what comes of it.

        Raises:
            BaseException: the error that it answers with.
        """
        encoded = [self.encode(a) for a in arguments]
        self.send(["ask", what, *encoded])
        return self.answer()

    def answer(self) -> Any:
        """Wait for the answer to what was asked."""
        while True:
            match self.receive():
                case ["ask", *request]:
                    self.send(self._serve(request))
                case ["ok", value]:
                    return self.decode(value)
                case ["error", dict() as info]:  # pyright: ignore[reportUnknownVariableType]
                    raise self._error(info)  # pyright: ignore[reportUnknownArgumentType]
                case _:
                    raise values.Unreadable("no answer")

    def encode(self, value: object) -> object:
        """A value in its form of transport."""
        return values.encode(value, self._refer)

    def decode(self, data: object) -> Any:
        """The value that came."""
        return values.decode(data, self._resolve)

    def _refer(self, value: object) -> object:
        if isinstance(value, Remote):
            return ["yours", number_of(value)]
        if not self.may_export(value):
            raise TypeError(f"a {type(value).__name__} cannot be handed over")
        number = self._numbers.get(id(value))
        if number is None:
            number = self._numbers[id(value)] = len(self._mine)
            self._mine.append(value)
        return ["mine", number, type(value).__name__[:80]]

    def _resolve(self, data: list[Any]) -> object:
        match data:
            case ["yours", int() as number] if 0 <= number < len(self._mine):
                return self._mine[number]
            case ["mine", int() as number, str() as kind]:
                if number not in self._theirs:
                    self._theirs[number] = Remote(self, number, kind)
                return self._theirs[number]
            case _:
                raise values.Unreadable("no value")


def number_of(remote: Remote) -> int:
    """The number that its owner knows an object by."""
    return object.__getattribute__(remote, "_number")


def kind_of(remote: Remote) -> str:
    """The name of an object's type, as its owner says."""
    return object.__getattribute__(remote, "_kind")


def _ask(remote: Remote, what: str, *arguments: object) -> Any:
    peer: Peer = object.__getattribute__(remote, "_peer")
    return peer.ask(what, remote, *arguments)


class Remote:
    """An object of the other side. What is asked of it happens there; it learns nothing of what it is compared with.

    With plain data only its own plain part, if it derives from a plain type, is compared and computed, and that here.
    """

    __slots__ = ("_kind", "_number", "_peer")

    def __init__(self, peer: Peer, number: int, kind: str) -> None:
        for name, value in (("_peer", peer), ("_number", number), ("_kind", kind)):
            object.__setattr__(self, name, value)

    def __call__(self, *arguments: object, **named: object) -> Any:
        value, changes = _ask(self, "call", arguments, named)
        for place, changed in changes.items():
            _update(arguments[place] if isinstance(place, int) else named[place], changed)
        return value

    def __getattr__(self, name: str) -> Any:
        return _ask(self, "getattr", name)

    def __setattr__(self, name: str, value: object) -> None:
        _ask(self, "setattr", name, value)

    def __getitem__(self, key: object) -> Any:
        return _ask(self, "getitem", key)

    def __setitem__(self, key: object, value: object) -> None:
        _ask(self, "setitem", key, value)

    def __delitem__(self, key: object) -> None:
        _ask(self, "delitem", key)

    def __len__(self) -> int:
        return _checked(_ask(self, "len"), int)

    def __bool__(self) -> bool:
        return _checked(_ask(self, "bool"), bool)

    def __str__(self) -> str:
        return _checked(_ask(self, "str"), str)

    def __repr__(self) -> str:
        return _checked(_ask(self, "repr"), str)

    def __float__(self) -> float:
        return _checked(_ask(self, "float"), float)

    def __int__(self) -> int:
        return _checked(_ask(self, "int"), int)

    def __iter__(self) -> Any:
        iterator = _ask(self, "iter")
        while item := _ask(iterator, "next"):
            yield item[0]

    def __next__(self) -> Any:
        item = _ask(self, "next")
        if not item:
            raise StopIteration
        return item[0]

    def __enter__(self) -> Any:
        return _ask(self, "getattr", "__enter__")()

    def __exit__(self, *_: object) -> None:
        _ask(self, "getattr", "__exit__")(None, None, None)

    def __instancecheck__(self, instance: object) -> bool:
        return isinstance(instance, Remote) and _checked(_ask(self, "isinstance", instance), bool)

    def __hash__(self) -> int:
        return number_of(self)

    def __eq__(self, other: object) -> bool:
        return self is other or bool(_operated("eq", self, other, False))

    def __ne__(self, other: object) -> bool:
        return not self == other


def _update(mine: object, changed: object) -> None:
    """Make a value that was handed over what the other side made of it, so that what works in place can be tested."""
    if type(mine) is not type(changed):
        raise values.Unreadable("a changed argument of another type")
    match mine:
        case list() | bytearray():
            mine[:] = changed  # pyright: ignore[reportArgumentType, reportCallIssue]
        case dict() | set() | deque():
            mine.clear()
            extend = mine.extend if isinstance(mine, deque) else mine.update  # pyright: ignore[reportUnknownVariableType]
            extend(changed)  # pyright: ignore[reportArgumentType, reportCallIssue]
        case _:
            raise values.Unreadable("a changed argument that cannot change")


def _checked(value: Any, kind: type[Any]) -> Any:
    if type(value) is not kind:
        raise TypeError(f"the result is no {kind.__name__}")
    return value


def _operated(name: str, left: object, right: object, otherwise: object) -> Any:
    """An operator: on two objects of the other side there, on one of them and plain data here."""
    if isinstance(left, Remote) and isinstance(right, Remote):
        return _ask(left, "operator", name, right)
    sides: list[object] = []
    for side in (left, right):
        plain = [side] if not isinstance(side, Remote) else _ask(side, "plain")
        if not plain:
            return otherwise
        sides += plain
    return getattr(operator, name)(*sides)


def _add_operators() -> None:
    for name in ("lt", "le", "gt", "ge", "add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "and_", "or_", "xor"):
        stem = name.rstrip("_")

        def forward(self: Remote, other: object, *, name: str = name) -> Any:
            return _operated(name, self, other, NotImplemented)

        def backward(self: Remote, other: object, *, name: str = name) -> Any:
            return _operated(name, other, self, NotImplemented)

        setattr(Remote, f"__{stem}__", forward)
        if name not in ("lt", "le", "gt", "ge"):
            setattr(Remote, f"__r{stem}__", backward)
    for name in ("neg", "abs", "invert"):

        def unary(self: Remote, *, name: str = name) -> Any:
            return _ask(self, "unary", name)

        setattr(Remote, f"__{name}__", unary)


_add_operators()
