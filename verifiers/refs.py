"""The name under which a worker process finds a function: code travels as a reference to where it stands, never as bytes."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any, cast

from ..core.errors import ConfigError
from ..core.target import load_target


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
    if module != "__main__" and load_target(ref, what="function") is not function:
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
