"""The numeric libraries of the `compare` extra, imported by the function that needs them.

Resampling in numpy is some twenty times faster than in the standard library; the quantiles of the t distribution and
least squares are no code to write again. Everything else in this room is the standard library.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any, Literal, TypeAlias

from ..core.errors import ConfigError

Library: TypeAlias = Literal["numpy", "scipy.optimize", "scipy.special"]


def library(name: Library) -> Any:
    """The module of that name.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        return import_module(name)
    except ModuleNotFoundError:
        raise ConfigError(f"these statistics need {name.partition('.')[0]}", hint="pip install 'burnish[compare]'") from None
