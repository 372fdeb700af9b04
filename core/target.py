"""Finding an object of the user's by name: `module:attribute` or `file.py:attribute`."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

from .errors import ConfigError
from .ids import text_hash


def is_target(text: str) -> bool:
    """Whether a text has the form of a target."""
    where, colon, attribute = text.rpartition(":")
    return bool(colon and where) and attribute.replace(".", "").isidentifier()


def absolute(text: str) -> str:
    """A target that means the same in any folder: the path of a file made absolute."""
    where, _, attribute = text.rpartition(":")
    return f"{Path(where).resolve()}:{attribute}" if where.endswith(".py") else text


def load_target(text: str, *, what: str) -> object:
    """Import the object that a target names. `what` is said in errors: "graph", "verifier".

    The current folder is importable, as with `python -m`.

    Raises:
        ConfigError: no such file, module or attribute, or the import itself fails.
    """
    where, _, attribute = text.rpartition(":")
    if not is_target(text):
        raise ConfigError(f"{text!r} names no {what}", hint=f"module:attribute or file.py:attribute names a {what} of your own")
    try:
        found: object = _from_file(Path(where)) if where.endswith(".py") else _from_module(where)
    except ModuleNotFoundError as e:
        raise ConfigError(f"the module of the {what} {text} cannot be found: {e}", hint="check the name and the folder") from e
    except ConfigError:
        raise
    except Exception as e:
        raise ConfigError(f"importing the {what} {text} failed: {type(e).__name__}: {e}", hint="mend the module") from e
    for name in attribute.split("."):
        if not hasattr(found, name):
            raise ConfigError(f"{where} has no {name}", hint=f"names there: {_names(found)}")
        found = getattr(found, name)
    return found


def _from_module(name: str) -> ModuleType:
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    return importlib.import_module(name)


def _from_file(path: Path) -> ModuleType:
    path = path.resolve()
    if not path.is_file():
        raise ConfigError(f"there is no file {path}", hint="check the path")
    # The same name in every process, so that its objects can be pickled across a spawn.
    name = f"_burnish_target_{path.stem}_{text_hash(str(path))[:12]}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ConfigError(f"{path} is no Python file", hint="give a file that ends in .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    folder = str(path.parent)
    if folder not in sys.path:
        sys.path.insert(0, folder)
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _names(found: object) -> str:
    names = [n for n in dir(found) if not n.startswith("_")]
    return ", ".join(names[:12]) or "none"
