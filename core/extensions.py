"""What installed distributions add to burnish, by entry points: found when a name is looked up, imported when it is used.

    [project.entry-points."burnish.verifiers"]
    polite = "my_package.checks:polite"

The groups are `burnish.graphs`, `burnish.verifiers`, `burnish.engines` and `burnish.retrievers`. What stands there is what a
target (`module:attribute`) of the kind may be. A name that is built in, or that two distributions have, is refused.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal, TypeAlias

from .errors import ConfigError
from .target import is_target, load_target
from .text import one_line

Kind: TypeAlias = Literal["graph", "verifier", "engine", "retriever"]


@dataclass(frozen=True)
class Extension:
    """One entry point."""

    kind: Kind
    name: str
    target: str
    origin: str
    """Name and version of its distribution."""
    refused: str = ""
    """Why it cannot be used by its name; empty if it can."""

    def load(self) -> object:
        """Import what it names.

        Raises:
            ConfigError: it is refused, or its distribution is broken.
        """
        if self.refused:
            raise ConfigError(f"the {self.kind} {self.name} of {self.origin} {self.refused}", hint=f"name it {self.target}")
        try:
            return load_target(self.target, what=self.kind)
        except ConfigError as e:
            what = f"the {self.kind} {self.name} of {self.origin} is broken: {one_line(e.message, 300)}"
            raise ConfigError(what, hint="mend that distribution, or remove it") from e


def extensions(kind: Kind, builtin: Collection[str] = ()) -> list[Extension]:
    """All entry points of a kind by name, those that are refused included."""
    found = _found(kind, tuple(sys.path))
    names = [extension.name for extension in found]
    return [_judged(extension, names.count(extension.name), builtin) for extension in found]


def extension(kind: Kind, name: str, builtin: Collection[str] = ()) -> Extension | None:
    """The entry point of this name; None if no distribution has it."""
    return next((e for e in extensions(kind, builtin) if e.name == name), None)


def _judged(found: Extension, times: int, builtin: Collection[str]) -> Extension:
    if found.name in builtin:
        why = "has the name of a built-in one"
    elif times > 1:
        why = "has a name that another distribution has too"
    elif not is_target(found.target):
        why = f"is no module:attribute: {one_line(found.target, 80)}"
    else:
        return found
    return Extension(found.kind, found.name, found.target, found.origin, why)


@functools.lru_cache(maxsize=16)
def _found(kind: Kind, path: tuple[str, ...]) -> tuple[Extension, ...]:
    """`path` is what the search depends on: an installation while the process lives is found by the next one."""
    from importlib.metadata import entry_points

    found = {
        Extension(kind, point.name, point.value.partition("[")[0].strip(), f"{point.dist.name} {point.dist.version}")
        for point in entry_points(group=f"burnish.{kind}s")
        if point.dist is not None
    }
    return tuple(sorted(found, key=lambda e: (e.name, e.origin)))
