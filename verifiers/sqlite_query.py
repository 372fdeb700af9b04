"""`sql_execution` for those who mean SQLite."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from ..core.errors import ConfigError
from .sql_execution import SqlExecution


class SqliteQuery(SqlExecution):
    """Like `SqlExecution`, for SQLite alone."""

    name: ClassVar[str] = "sqlite_query"

    def _place(self, where: Mapping[str, Any], who: str) -> dict[str, str]:
        place = super()._place(where, who)
        if "url" in place:
            raise ConfigError(f"{self.name}: {who} names a PostgreSQL database", hint="use sql_execution")
        return place
