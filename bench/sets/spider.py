"""Spider, development set: questions to twenty databases, graded by what the query finds.

The prompt shows the database as its CREATE TABLE statements, the "code representation" of the text-to-SQL literature. A question
whose gold query finds nothing is left out: it would reward every query that finds nothing.
"""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from pathlib import Path

from ...core.errors import ConfigError
from ...core.ids import Json
from ...core.task import Task
from ...core.text import one_line
from ...verifiers import sql_execution_worker
from .registry import TaskSet
from .rows import Row, json_list

PROMPT = "{}\n\nQuestion: {}\nAnswer with one SQLite query and nothing else."
MAX_TOKENS = 256
SECONDS = 5.0
"""Seconds that a gold query may take."""
_LAYOUTS = ("derived_sqlite/{0}.sqlite", "database/{0}/{0}.sqlite", "{0}.sqlite")
"""Where a database may lie in the folder: beside InterCode's file, as in Spider's own archive, or plainly."""
_NAMES = {"db": "db_id", "gold": "query", "query": "question"}
"""InterCode's field names and those of Spider's own dev.json."""


def load(folder: Path | None, seed: int) -> list[Task]:
    """The questions whose gold query finds something; a question's id is its place in the file, counted from 0."""
    assert folder is not None
    path = sorted(folder.glob("*dev.json"))[-1]
    schemas: dict[Path, str] = {}
    tasks = (_task(row, number, folder, schemas) for number, row in enumerate(json_list(path)))
    return [task for task in tasks if task is not None]


def _task(row: Row, number: int, folder: Path, schemas: dict[Path, str]) -> Task | None:
    names = {name: name for name in _NAMES} if "gold" in row.values else _NAMES
    gold, question = row.text(names["gold"]), row.text(names["query"])
    database = _database(row, row.text(names["db"]), folder)
    if not _finds(row, gold, database):
        return None
    if database not in schemas:
        schemas[database] = _schema(database)
    more: dict[str, Json] = {"hardness": row.text("hardness")} if "hardness" in row.values else {}
    return Task(
        prompt=PROMPT.format(schemas[database], question.strip()),
        id=f"spider/dev/{number}",
        reference=gold,
        context={"database": str(database)},
        grader={"name": "sqlite_query"},
        verifier={"name": "sqlite_query", "oracle": False, "non_empty": True},
        extract="sql",
        sampling={"max_tokens": MAX_TOKENS},
        metadata={"set": "spider", "index": number, "db": database.stem, **more},
    )


def _database(row: Row, name: str, folder: Path) -> Path:
    if not re.fullmatch(r"\w+", name):
        raise row.error(f"{one_line(name)!r} is no name of a database")
    for layout in _LAYOUTS:
        if (path := folder / layout.format(name)).is_file():
            return path.absolute()
    places = ", ".join(layout.format(name) for layout in _LAYOUTS)
    raise ConfigError(f"{row.where}: the database {name} is not in {one_line(str(folder), 200)}", hint=f"looked for: {places}")


def _finds(row: Row, gold: str, database: Path) -> bool:
    """Whether the gold query finds a value, as the verifier sees it."""
    options = {"seconds": SECONDS, "digits": None, "non_empty": True, "columns": None, "test": None, "explain": False}
    reply = sql_execution_worker.run(gold, None, [{"path": str(database)}], options)
    if reply["reason"] not in ("", "empty_result"):
        raise row.error(f"the gold query fails on {database.name}: {one_line(str(reply['message']), 200)}")
    return not reply["reason"]


def _schema(database: Path) -> str:
    """The statements that make the tables, one a line."""
    query = "SELECT sql FROM sqlite_master WHERE type IN ('table', 'view') AND sql IS NOT NULL AND name NOT LIKE 'sqlite_%'"
    try:
        with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro&immutable=1", uri=True)) as connection:
            return "\n".join(" ".join(sql.split()) + ";" for (sql,) in connection.execute(f"{query} ORDER BY rowid"))
    except sqlite3.Error as e:
        raise ConfigError(f"{database.name} cannot be read: {one_line(str(e), 200)}", hint="fetch it again") from None


SPIDER = TaskSet(
    name="spider",
    about="questions to twenty databases as SQL, graded by the rows found",
    source="Spider 1.0 dev as in github princeton-nlp/intercode, commit c3e46d8, data/sql/spider; databases as SQLite files",
    licence="CC BY-SA 4.0 (Spider, unconfirmed), MIT (InterCode)",
    needs_data=True,
    size=931,
    load=load,
    folder="spider_dev_intercode",
    files=("*dev.json",),
)
"""The development set without the questions whose answer is empty."""
