"""Storing: the durable record of runs in a SQL database, and reading it again.

Nothing is imported here, since SQLAlchemy is heavy; `frame` is, when it is first asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .frames import frame

__all__ = ["frame"]


def __getattr__(name: str) -> Any:
    if name != "frame":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from .frames import frame

    return frame
