"""The process of the tests: runs them against the code, which it reaches through its peer only, and decides.

What the tests see of the code are copies of plain values and references. The code is never in this interpreter, so it
can neither read a test nor pass one but by answering as the tests expect.
"""

from __future__ import annotations

import ast
import builtins
import contextlib
import importlib
import sys
import time
import types
from collections.abc import Mapping
from typing import Any, cast

from . import findings, values
from .findings import FATAL, Ended
from .peer import Peer, Remote

FILE = "<tests>"
MODULE = "tests"


class _Module:
    """A module of the standard library that the code imported under some name."""

    def __init__(self, name: str) -> None:
        self.name = name


class _Watched(Peer):
    """The peer, remembering the last call and what broke the connection."""

    calls = 0
    last: tuple[tuple[Any, ...], list[Any]] | None = None
    """The function, its arguments, and the result in a list, empty as long as there is none."""
    broken: BaseException | None = None

    def ask(self, what: str, *arguments: object) -> Any:
        result: list[Any] = []
        if what == "call":
            self.calls += 1
            self.last = (arguments, result)
        try:
            value = super().ask(what, *arguments)
        except FATAL as e:
            self.broken = self.broken or e
            raise
        if what == "call":
            result.append(value[0])
        return value


class Tester:
    """One run of tests."""

    def __init__(self, pipes: tuple[int, int], code: int, job: Mapping[str, Any], most: int) -> None:
        self._peer = _Watched(*pipes, most=most, serve=self._serve, error=self._error)
        self._peer.may_export = _may_export
        self._peer.deadline = time.monotonic() + job["limits"]["seconds"]
        self._code, self._seconds = code, job["limits"]["seconds"]
        self._tests: str = job["tests"]
        self._prelude: str = job["prelude"]
        self._entry: str | None = job["entry_point"]
        self._errors: dict[str, type[BaseException]] = {}
        self._infos: dict[int, tuple[BaseException, dict[str, Any]]] = {}

    def verdict(self) -> dict[str, Any]:
        """Run the tests; what came of them, in plain form."""
        places: dict[str, str] = {}
        try:
            self._run()
            if self._peer.broken:
                raise self._peer.broken
            found = Ended("", "", "pass")
        except Ended as e:
            found = e
        except BaseException as e:
            found = self._failure(e)
            with contextlib.suppress(BaseException):  # What it quotes may ask the code, which may be gone.
                places["test"] = findings.statement(self._tests, FILE, e)
                places["call"] = self._call(with_result=found.reason == "test_failed")
        said = {"outcome": found.outcome, "reason": found.reason, "error": found.error[:2000]}
        return {**said, **places, "calls": self._peer.calls}

    def _run(self) -> None:
        names = self._load()
        tree = ast.parse(self._tests)
        module = types.ModuleType(MODULE)
        sys.modules[MODULE] = module
        tests = vars(module)
        tests.update(self._visible(names))
        exec(compile(tree, FILE, "exec", dont_inherit=True), tests)
        check = tests.get("check")
        if self._entry and isinstance(check, types.FunctionType):
            check(names[self._entry])
        constants = {k for k, v in names.items() if not isinstance(v, Remote | _Module | type)}
        if not self._peer.calls and not constants & findings.names_read(tree):
            raise Ended("no_calls", "the tests do not use the code: nothing calls what they define", "abstain")

    def _load(self) -> dict[str, Any]:
        """What the code defines, once it is loaded.

        Raises:
            Ended: it does not load, or defines something else than it should.
        """
        try:
            described = self._peer.answer()
        except FATAL as e:
            self._peer.broken = e
            raise
        except SyntaxError as e:
            raise Ended("syntax_error", self._told(e)) from None
        if not isinstance(described, dict):
            raise values.Unreadable("no names")
        names: dict[str, Any] = {}
        for name, about in cast("dict[str, Any]", described).items():
            match about:
                case ("module", str() as module):
                    if module.partition(".")[0] in sys.stdlib_module_names:
                        names[name] = _Module(module)
                case ("exception", value, bases):
                    names[name] = self._stand_in(name, list(map(str, bases)), value)
                case (_, value):
                    names[name] = value
                case _:
                    raise values.Unreadable("no description")
        if self._entry and self._entry not in names:
            raise Ended("no_code", f"the code defines no {self._entry}")
        return names

    def _visible(self, names: Mapping[str, Any]) -> dict[str, Any]:
        """What the tests see under which name: never the code's idea of a built-in, nor of what the prelude defines."""
        if self._entry:
            entry = names[self._entry]
            return {**_prelude(self._prelude), self._entry: entry, "candidate": entry}
        seen: dict[str, Any] = {}
        for name, value in names.items():
            if hasattr(builtins, name) or name.startswith("__"):
                continue
            if isinstance(value, _Module):
                try:
                    value = importlib.import_module(value.name)
                except Exception:
                    continue
            seen[name] = value
        return seen

    def _stand_in(self, name: str, bases: list[str], fallback: Any) -> Any:
        """An exception class of the code's, so that a test can expect it; raised here when the code raises its own."""
        for base in bases:
            kind = self._errors.get(base) or getattr(builtins, base, None)
            if isinstance(kind, type) and issubclass(kind, BaseException):
                self._errors[name] = type(name, (kind,), {})
                return self._errors[name]
        return fallback

    def _error(self, info: dict[str, Any]) -> BaseException:
        """What the code raised, as the tests meet it."""
        match info:
            case {"types": [str(), *_] as names, "text": str(), "where": str()}:
                kind: type[BaseException] = RuntimeError
            case _:
                raise values.Unreadable("no error")
        for name in map(str, cast("list[Any]", names)):
            found = self._errors.get(name) or getattr(builtins, name, None)
            # An iterator's end, raised by a call, would end a loop of the tests before its time.
            if (
                isinstance(found, type)
                and issubclass(found, BaseException)
                and not issubclass(found, StopIteration | StopAsyncIteration)
            ):
                kind = found
                break
        error = self._made(kind, info)
        self._infos[id(error)] = (error, info)
        return error

    def _made(self, kind: type[BaseException], info: dict[str, Any]) -> BaseException:
        try:
            arguments = tuple(self._peer.decode(info.get("arguments")))
        except Exception:
            return RuntimeError(info.get("text"))
        with contextlib.suppress(Exception):
            return kind(*arguments)
        return kind.__new__(kind, *arguments)

    def _failure(self, error: BaseException) -> Ended:
        """The verdict on an error that ended the tests."""
        if isinstance(self._peer.broken, FATAL):
            return findings.broken(self._peer.broken, self._code, self._seconds)
        if isinstance(error, MemoryError):
            return Ended("memory", "more memory was needed than there is")
        if id(error) in self._infos:
            return Ended("exception", self._told(error))
        if isinstance(error, AssertionError):
            return Ended("test_failed", _text(error))
        return Ended("test_failed", f"{type(error).__name__}: {_text(error)}")

    def _told(self, error: BaseException) -> str:
        """What the code said of an error of its own."""
        info = self._infos[id(error)][1]
        return f"{info['types'][0]}: {info['text']}" + (f" ({info['where']})" if info["where"] else "")

    def _call(self, *, with_result: bool) -> str:
        """The last call of the code."""
        if self._peer.last is None:
            return ""
        (function, arguments, named), result = self._peer.last
        names = vars(sys.modules[MODULE]).items() if MODULE in sys.modules else ()
        called = next((k for k, v in names if v is function and k != "candidate"), "the function")
        return findings.call(called, arguments, named, result if with_result else [])

    def _serve(self, request: list[Any]) -> list[Any]:
        """What the code may ask of the tests' objects: to call, to iterate, and attributes of the tests' own classes."""
        try:
            what, *data = request
            if data[0][0] != "yours":
                # A built-in type would make the code classes of its own here, whose comparisons it chooses.
                raise AttributeError("the tests' process serves the tests' objects only")
            target, *arguments = [self._peer.decode(d) for d in data]
            return ["ok", self._peer.encode(_served(what, target, arguments))]
        except FATAL:
            raise
        except Exception as e:
            return ["error", {"type": type(e).__name__, "text": str(e)[:2000]}]


def _served(what: str, target: Any, arguments: list[Any]) -> object:
    match what:
        case "call" if callable(target):
            return [target(*arguments[0], **arguments[1]), dict[str, Any]()]
        case "iter" if hasattr(target, "__next__"):
            return target
        case "next" if hasattr(target, "__next__"):
            for item in target:
                return [item]
            return []
        case "bool":
            return True
        case "getattr" | "setattr" if type(target).__module__ == MODULE and not str(arguments[0]).startswith("_"):
            return getattr(target, *arguments) if what == "getattr" else setattr(target, *arguments)
        case _:
            raise AttributeError(f"the tests' objects do not offer {what} to the code")


def _text(error: BaseException) -> str:
    """An error's message, which may quote objects of the code's."""
    with contextlib.suppress(BaseException):
        return str(error)
    return "a message that cannot be read"


def _may_export(value: object) -> bool:
    return callable(value) or hasattr(value, "__next__") or type(value).__module__ == MODULE


def _prelude(source: str) -> dict[str, Any]:
    """What the prelude defines by itself; the code was loaded behind it, so what is wrong with it shows there."""
    names: dict[str, Any] = {"__name__": MODULE}
    with contextlib.suppress(Exception):
        exec(compile(source, "<prelude>", "exec", dont_inherit=True), names)
    return names
