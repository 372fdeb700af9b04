"""Prompts as data: Markdown files with named fields, filled without ever reading braces out of the values."""

from __future__ import annotations

import re
from functools import cache
from importlib import resources

from ..core.errors import ConfigError

_FIELD = re.compile(r"\{([a-z_]+)\}")


@cache
def load(name: str) -> str:
    """The text of a prompt that ships with burnish.

    Raises:
        ConfigError: there is no such prompt.
    """
    folder = resources.files(__spec__.parent) / "prompts"
    file = folder / f"{name}.md"
    if not file.is_file():
        known = sorted(f.name.removesuffix(".md") for f in folder.iterdir() if f.name.endswith(".md"))
        raise ConfigError(f"there is no prompt {name!r}", hint=f"one of: {', '.join(known)}")
    return file.read_text(encoding="utf-8").strip()


def fill(template: str, **values: str) -> str:
    """Put values into a template's fields.

    Only `{name}` is a field, each is replaced once, and braces within values stay as they are.

    Raises:
        ConfigError: a field has no value, or a value has no field.
    """
    wanted = set(_FIELD.findall(template))
    if wanted != values.keys():
        off = ", ".join(sorted(wanted ^ values.keys()))
        raise ConfigError(f"the prompt's fields and the values given differ: {off}", hint=f"fields: {', '.join(sorted(wanted))}")
    return _FIELD.sub(lambda m: values[m.group(1)], template)
