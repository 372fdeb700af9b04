"""Functions and objects by name: `module:attribute` or `file.py:attribute`.

A name is what crosses into a worker process: code travels as a reference to where it stands, never as bytes.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType
from typing import Any, cast

from ..core.errors import ConfigError

_FORM = "give module:function or path/to/file.py:function"


def load(ref: str) -> object:
    """The object that `ref` names; its module or file is imported once per process.

    Raises:
        ConfigError: the name is malformed, or there is no such module, file or attribute.
    """
    where, colon, attribute = ref.rpartition(":")
    if not colon or not where or not attribute:
        raise ConfigError(f"{ref!r} names no function", hint=_FORM)
    value: object = _file(os.path.abspath(where)) if where.endswith(".py") else _module(where)
    for name in attribute.split("."):
        if not hasattr(value, name):
            raise ConfigError(f"{where} has no {attribute!r}", hint=_FORM)
        value = getattr(value, name)
    return value


def absolute(ref: str) -> str:
    """The same name, understood in any working directory."""
    where, colon, attribute = ref.rpartition(":")
    return f"{os.path.abspath(where)}{colon}{attribute}" if where.endswith(".py") else ref


def ref_of(function: object) -> str:
    """The name under which another process finds a function.

    Raises:
        ConfigError: it has none: a lambda, a closure, a method, something typed into a prompt or notebook.
    """
    function = cast("Any", function)
    name, module = getattr(function, "__qualname__", ""), getattr(function, "__module__", "")
    label = name or type(function).__name__
    if not name or not module or "<" in name:
        raise ConfigError(
            f"{label} cannot be sent to a worker process", hint="a function with a timeout must stand at the top of a module"
        )
    ref = f"{_main_file(label)}:{name}" if module == "__main__" else f"{module}:{name}"
    if module != "__main__" and load(ref) is not function:
        raise ConfigError(f"{ref} is another object than the function given", hint="pass the function under its own name")
    return ref


def _main_file(label: str) -> str:
    path = getattr(sys.modules["__main__"], "__file__", None)
    if not path or not Path(path).is_file():
        raise ConfigError(
            f"{label} was typed into a prompt or notebook and cannot be sent to a worker process", hint="put it into a file"
        )
    if not path.endswith(".py") or "__name__" not in Path(path).read_text(errors="replace"):
        raise ConfigError(
            f"a worker that loads {label} would run {path} a second time",
            hint="start the program under `if __name__ == '__main__':`, or put the function into a file of its own",
        )
    return os.path.abspath(path)


def _module(name: str) -> ModuleType:
    if (here := os.getcwd()) not in sys.path:
        sys.path.append(here)
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as e:
        if e.name is None or not (name == e.name or name.startswith(e.name + ".")):
            raise
        raise ConfigError(f"there is no module {name!r}", hint=_FORM) from None
    except (TypeError, ValueError):
        raise ConfigError(f"{name!r} is not a module's name", hint=_FORM) from None


@functools.cache
def _file(path: str) -> ModuleType:
    if not os.path.isfile(path):
        raise ConfigError(f"there is no file {path}", hint=_FORM)
    name = f"burnish_file_{abs(hash(path)):x}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ConfigError(f"{path} cannot be loaded as Python", hint=_FORM)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
