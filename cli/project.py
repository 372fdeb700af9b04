"""Defaults of a project: `burnish.toml` in the current folder, else `[tool.burnish]` of its `pyproject.toml`.

Flags go before the environment, that before this file, and this before what is built in.

    engine = "vllm"
    store = "sqlite:///burnish.db"
    concurrency = 16
    seed = 0
    [budget]              # limits of each run
    calls = 64
    [engines.vllm]        # arguments of an engine; `model` is one of them
    max_num_seqs = 64
    [graphs.best_of_n]    # settings of a graph, by the name that is given on the command line
    n = 8
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any, cast

from ..core.errors import ConfigError

FILE = "burnish.toml"

_KINDS: dict[str, tuple[type, str]] = {
    "engine": (str, "a text"),
    "store": (str, "a text"),
    "verifier": (str, "a text"),
    "budget": (dict, "a table"),
    "seed": (int, "a whole number"),
    "concurrency": (int, "a whole number"),
    "engines": (dict, "a table of tables"),
    "graphs": (dict, "a table of tables"),
}


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
    """Arguments by engine name."""
    graphs: Mapping[str, Mapping[str, Any]] = field(default_factory=dict[str, Mapping[str, Any]])
    """Settings by graph."""


def load_project(folder: Path | None = None) -> Project:
    """Read the project's file; an empty project where there is none.

    Raises:
        ConfigError: the file is no TOML, or says what nobody understands.
    """
    folder = folder or Path.cwd()
    own, shared = folder / FILE, folder / "pyproject.toml"
    if own.is_file():
        return _checked(_read(own), own.name)
    if shared.is_file():
        tool: Any = _read(shared).get("tool", {})
        return _checked(tool.get("burnish", {}), f"{shared.name} [tool.burnish]") if isinstance(tool, dict) else Project()  # pyright: ignore[reportUnknownArgumentType]
    return Project()


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as e:
        raise ConfigError(f"{path.name} is no TOML: {e}", hint="mend the file, or move it away") from None
    except OSError as e:
        raise ConfigError(f"{path.name} cannot be read: {e.strerror}", hint="check its permissions") from None


def _checked(found: object, where: str) -> Project:
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
        if key in ("engines", "graphs"):
            for name, inner in cast("dict[str, Any]", value).items():
                if not isinstance(inner, dict):
                    raise ConfigError(f"{where}: {key}.{name} is no table", hint=f"[{key}.{name}]")
    return Project(**values)
