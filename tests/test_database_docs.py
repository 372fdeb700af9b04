"""What the document on the database says is so: its tables are complete, its queries give what is shown.

With UPDATE_DOCS=1 in the environment the results in the document are written anew.
"""

import os
import re
import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from burnish.traces.export import FACTS
from burnish.traces.schema import metadata
from burnish.traces.store import Store
from tests.cli_kit import burnish as burnish
from tests.test_traces_store import url as url

PAGE = Path(__file__).parent.parent / "docs" / "database.md"
TEXT = PAGE.read_text()
QUERY = re.compile(r"```sql\n(?P<sql>.*?)```\n\n```text\n(?P<shown>.*?)```", re.DOTALL)
UPDATE = os.environ.get("UPDATE_DOCS") == "1"


def table(names, rows):
    """Aligned columns, as the document shows them."""
    cells = [list(names), *[["" if v is None else str(v) for v in row] for row in rows]]
    sizes = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "".join("  ".join(c.ljust(n) for c, n in zip(row, sizes, strict=True)).rstrip() + "\n" for row in cells)


def test_the_queries_give_what_is_shown(burnish):
    for command in re.findall(r"^    (burnish .+|cd .+)$", TEXT, re.M):
        first, *rest = command.split()
        if first == "cd":
            os.chdir(rest[0])
        else:
            assert burnish(*rest).status == 0, command
    database = sqlite3.connect("burnish.db")

    def answered(found):
        cursor = database.execute(found["sql"])
        shown = table([d[0] for d in cursor.description], cursor.fetchall())
        return f"```sql\n{found['sql']}```\n\n```text\n{shown}```"

    made = QUERY.sub(answered, TEXT)
    database.close()
    assert len(QUERY.findall(TEXT)) == TEXT.count("```sql")
    if UPDATE:
        PAGE.write_text(made)
    else:
        assert made == TEXT


async def test_the_queries_run_on_both_databases(url):
    await (await Store.open(url)).close()
    engine = create_engine(url)
    with engine.connect() as connection:
        for sql, _ in QUERY.findall(TEXT):
            assert connection.execute(text(sql)).all() == []
    engine.dispose()


def test_the_tables_are_complete():
    shown = {m[1]: re.findall(r"`(\w+)`", m[2]) for m in re.finditer(r"^\| `(\w+)` \| .+ \| (`\w+`, .+) \|$", TEXT, re.M)}
    assert shown == {name: [c.name for c in t.c] for name, t in metadata.tables.items()}


def test_the_types_of_an_export_are_all_named():
    part = TEXT.partition("## Exports")[2]
    named = {name for line in re.findall(r"^\| (`.+?) \|", part, re.M) for name in re.findall(r"`(\w+)`", line)}
    assert {"export", "run", "end", *FACTS} <= named


def test_the_program_with_data_frames_runs(burnish, capsys):
    pytest.importorskip("pandas")
    burnish("run", "best_of_n", "What is 17 + 25?", "--engine", "scripted", "--verifier", "numeric", "--reference", "42")
    code = re.search(r"```python\n(.*?)```", TEXT, re.DOTALL)[1]
    capsys.readouterr()
    exec(code, {})
    assert "outcome" in capsys.readouterr().out
