"""The libraries of the `retrieval` extra, imported by the function that needs them.

`bm25s` scores words with a sparse matrix that is memory-mapped, some two hundred times faster than scoring in Python;
`usearch` maps vectors from disk, and searches them exactly or through a graph. Both need numpy and nothing heavy.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any, Literal, TypeAlias

from ..core.errors import ConfigError

Library: TypeAlias = Literal["bm25s", "Stemmer", "numpy", "usearch.index", "torch", "transformers", "httpx"]

_HINTS = {
    "torch": "burnish engine install, or pip install torch transformers",
    "transformers": "burnish engine install, or pip install torch transformers",
}


def library(name: Library) -> Any:
    """The module of that name.

    Raises:
        ConfigError: it is not installed, or cannot be imported.
    """
    try:
        return import_module(name)
    except ImportError as e:
        hint = _HINTS.get(name, "pip install 'burnish[retrieval]'")
        raise ConfigError(f"retrieval needs {name.partition('.')[0]}: {e}", code="missing_library", hint=hint) from None
