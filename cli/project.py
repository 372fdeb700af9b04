"""Defaults of a project, and of a user.

A project's are in `burnish.toml` in the current folder, else in `[tool.burnish]` of its `pyproject.toml`; a user's in
`burnish.toml` in the configuration folder. Flags go before the environment, that before the project's file, that before the
user's, and that before what is built in.

    engine = "vllm"
    store = "sqlite:///burnish.db"
    concurrency = 16
    seed = 0
    [budget]              # limits of each run
    calls = 64
    [engines.vllm]        # arguments of an engine; `model` is one of them
    max_num_seqs = 64
    [engines.big]         # a name of one's own for an engine with its arguments
    engine = "server"
    [roles]               # roles that have an engine of their own
    judge = "big"
    [graphs.best_of_n]    # settings of a graph, by the name that is given on the command line
    n = 8
"""

from __future__ import annotations

import os
import sys
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal, cast

from ..core.errors import ConfigError
from ..core.redact import also
from .values import placed

FILE = "burnish.toml"

_KINDS: dict[str, tuple[type, str]] = {
    "engine": (str, "a text"),
    "store": (str, "a text"),
    "verifier": (str, "a text"),
    "budget": (dict, "a table"),
    "seed": (int, "a whole number"),
    "concurrency": (int, "a whole number"),
    "engines": (dict, "a table of tables"),
    "roles": (dict, "a table"),
    "graphs": (dict, "a table of tables"),
    "redact": (list, "a list of regular expressions"),
}
_TABLES = ("engines", "graphs")
"""Tables of tables; merged key by key."""


@dataclass(frozen=True, kw_only=True)
class Project:
    """What the file says. None where it says nothing."""

    engine: str | None = None
    store: str | None = None
    verifier: str | None = None
    """Verifier that replaces those of the tasks."""
    budget: Mapping[str, Any] | None = None
    seed: int | None = None
    concurrency: int | None = None
    engines: Mapping[str, Mapping[str, Any]] = field(default_factory=dict[str, Mapping[str, Any]])
    """Arguments by engine name. A name of the user's own has the engine among them, as `engine`."""
    roles: Mapping[str, str] = field(default_factory=dict[str, str])
    """For roles that have an engine of their own its name."""
    graphs: Mapping[str, Mapping[str, Any]] = field(default_factory=dict[str, Mapping[str, Any]])
    """Settings by graph."""
    redact: Sequence[str] = ()
    """Regular expressions of secrets that are not stored, besides those that are known (`core.redact`)."""


@dataclass(frozen=True)
class Source:
    """A file, and what it says."""

    origin: Literal["project", "user"]
    path: Path
    values: Mapping[str, Any]


def load_project(folder: Path | None = None) -> Project:
    """Read the project's file and the user's; an empty project where there is neither.

    The project's goes first: of a table of engines, roles or graphs key by key, of `budget` as a whole; lists are joined. A
    relative `file.py:attribute` counts from the file that names it. What `redact` says holds in this process from then on.

    Raises:
        ConfigError: a file is no TOML, or says what nobody understands.
    """
    values: dict[str, Any] = {}
    for source in sources(folder):
        for key, value in placed(source.values, source.path.parent).items():
            if isinstance(value, list):
                values[key] = [*values.get(key, ()), *value]
            elif key in _TABLES:
                known = values.setdefault(key, {})
                known |= {name: {**inner, **known.get(name, {})} for name, inner in value.items()}
            elif key == "roles":
                values[key] = {**value, **values.get(key, {})}
            else:
                values.setdefault(key, value)
    project = Project(**values)
    also(map(str, project.redact))
    return project


def sources(folder: Path | None = None) -> list[Source]:
    """The files that there are, each checked: the project's, then the user's.

    Raises:
        ConfigError: a file is no TOML, or says what nobody understands.
    """
    folder = folder or Path.cwd()
    own, shared, users = folder / FILE, folder / "pyproject.toml", user_file()
    found: list[Source] = []
    if own.is_file():
        found.append(Source("project", own, _checked(_read(own), own.name)))
    elif shared.is_file():
        tool: Any = _read(shared).get("tool", {})
        said: object = cast("dict[str, Any]", tool).get("burnish", {}) if isinstance(tool, dict) else {}
        found.append(Source("project", shared, _checked(said, f"{shared.name} [tool.burnish]")))
    if users.is_file():
        found.append(Source("user", users, _checked(_read(users), str(users))))
    return found


def user_file() -> Path:
    """Where the user's defaults would be: in the platform's configuration folder."""
    if sys.platform == "darwin":
        folder = Path.home() / "Library" / "Application Support"
    elif sys.platform == "win32":
        folder = Path(os.environ.get("APPDATA") or Path.home() / "AppData" / "Roaming")
    else:
        folder = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    return folder / "burnish" / FILE


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as e:
        raise ConfigError(f"{path.name} is no TOML: {e}", hint="mend the file, or move it away") from None
    except OSError as e:
        raise ConfigError(f"{path.name} cannot be read: {e.strerror}", hint="check its permissions") from None


def _checked(found: object, where: str) -> dict[str, Any]:
    if not isinstance(found, dict):
        raise ConfigError(f"{where} is no table", hint="keys: " + ", ".join(_KINDS))
    values = cast("dict[str, Any]", found)
    for key, value in values.items():
        if key not in _KINDS:
            near = get_close_matches(key, _KINDS, n=1)
            hint = f"did you mean {near[0]}?" if near else "keys: " + ", ".join(_KINDS)
            raise ConfigError(f"{where} has an unknown key {key!r}", hint=hint)
        kind, words = _KINDS[key]
        if not isinstance(value, kind) or isinstance(value, bool):
            raise ConfigError(f"{where}: {key} is not {words}", hint="see docs/cli.md")
        _check_value(key, value, where)
    return values


def _check_value(key: str, value: Any, where: str) -> None:
    """What is within a value of the right kind."""
    if key == "concurrency" and value < 1:
        raise ConfigError(f"{where}: concurrency is {value}", hint="at least 1")
    if key == "redact" and not all(isinstance(pattern, str) for pattern in value):
        raise ConfigError(f"{where}: redact is not {_KINDS[key][1]}", hint=r'as in redact = ["acme-[0-9a-f]{32}"]')
    if key in _TABLES:
        for name, inner in value.items():
            if not isinstance(inner, dict):
                raise ConfigError(f"{where}: {key}.{name} is no table", hint=f"[{key}.{name}]")
    if key == "roles":
        for role, engine in value.items():
            if not isinstance(engine, str):
                raise ConfigError(f"{where}: roles.{role} is not the name of an engine", hint=f'as in {role} = "server"')
