"""Objects of the user's own code, by name: `module:attribute` or `file.py:attribute`."""

from __future__ import annotations

import difflib
import hashlib
import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

from ..core.errors import ConfigError
from ..core.text import one_line


def is_target(name: str) -> bool:
    """Whether a name has the form of one."""
    module, colon, attribute = name.rpartition(":")
    return bool(colon and module and attribute.replace(".", "").isidentifier())


def load(target: str) -> object:
    """The object that a target names. Its module is imported, once in a process; modules of the working folder are found.

    Raises:
        ConfigError: there is no such file, module or attribute, or importing it failed.
    """
    if not is_target(target):
        raise ConfigError(f"{target!r} names no object", hint="module:attribute or file.py:attribute")
    source, _, attribute = target.rpartition(":")
    found: object = _module(source)
    for name in attribute.split("."):
        if not hasattr(found, name):
            near = difflib.get_close_matches(name, [n for n in dir(found) if not n.startswith("_")], 3, 0.4)
            raise ConfigError(
                f"{source} has no attribute {name!r}", hint=f"it has {', '.join(near)}" if near else "check the name"
            )
        found = getattr(found, name)
    return found


def absolute(target: str) -> str:
    """The target, with the path of a file made absolute, so that it means the same in another folder."""
    source, _, attribute = target.rpartition(":")
    return f"{Path(source).resolve()}:{attribute}" if is_target(target) and source.endswith(".py") else target


def _module(source: str) -> ModuleType:
    try:
        if source.endswith(".py"):
            return _file(Path(source).resolve())
        folder = str(Path.cwd())
        if folder not in sys.path:
            sys.path.append(folder)
        return importlib.import_module(source)
    except ConfigError:
        raise
    except ModuleNotFoundError as e:
        if e.name and (source == e.name or source.startswith(e.name + ".")):
            raise ConfigError(f"there is no module {e.name!r}", hint="install it, or run where it lies") from None
        raise ConfigError(f"importing {source} failed: {one_line(str(e))}", hint="install what it imports") from e
    except (Exception, SystemExit) as e:
        raise ConfigError(f"importing {source} failed: {type(e).__name__}: {one_line(str(e), 200)}", hint="mend the code") from e


def _file(path: Path) -> ModuleType:
    name = f"burnish_file_{hashlib.blake2b(str(path).encode(), digest_size=6).hexdigest()}"
    if name in sys.modules:
        return sys.modules[name]
    if not path.is_file():
        raise ConfigError(f"there is no file {path}", hint="check the path")
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ConfigError(f"{path} cannot be imported", hint="give a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
