"""SQL of a model, run: what it may not do, and what it is compared with."""

import sqlite3
import time

import pytest

from burnish.core.candidate import Candidate
from burnish.core.errors import ConfigError
from burnish.core.task import Task
from burnish.core.verify import judge
from burnish.verifiers import SqliteQuery
from burnish.verifiers.sql_execution_worker import is_ordered

SCHEMA = """
PRAGMA foreign_keys = OFF;
BEGIN TRANSACTION;
CREATE TABLE person(id INTEGER PRIMARY KEY, name TEXT, age INTEGER, city TEXT, photo BLOB);
INSERT INTO person VALUES (1, 'Ann; B', 30, 'Rome', x'00ff'), (2, 'Bo', 40, 'Oslo', NULL), (3, 'Cy', 40, 'Rome', NULL);
CREATE VIEW old AS SELECT * FROM person WHERE age > 35;
COMMIT;
"""
OTHER = """
CREATE TABLE person(id INTEGER PRIMARY KEY, name TEXT, age INTEGER, city TEXT, photo BLOB);
INSERT INTO person VALUES (1, 'Di', 20, 'Rome', NULL), (2, NULL, NULL, 'Lima', NULL);
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "a b?#%.db"
    connection = sqlite3.connect(path)
    connection.executescript(SCHEMA)
    connection.close()
    return path


async def ask(sql, reference=None, *, task=None, **rest):
    task = task or Task(prompt="q", reference=reference, context={"schema": SCHEMA})
    rest.setdefault("oracle", reference is not None)
    return await judge(SqliteQuery(**rest), task, Candidate.of(sql))


ATTACKS = {
    "drop": "DROP TABLE person",
    "insert": "INSERT INTO person(name) VALUES ('x') RETURNING id",
    "update": "UPDATE person SET age = 1 RETURNING id",
    "delete": "WITH x AS (SELECT 1) DELETE FROM person RETURNING id",
    "create": "CREATE TABLE x AS SELECT * FROM person",
    "temp": "CREATE TEMP TABLE x(a)",
    "attach": "ATTACH DATABASE '{dir}/new.db' AS x",
    "detach": "DETACH DATABASE main",
    "vacuum into": "VACUUM INTO '{dir}/copy.db'",
    "vacuum": "VACUUM",
    "pragma": "PRAGMA writable_schema = ON",
    "pragma read": "PRAGMA database_list",
    "pragma function": "SELECT * FROM pragma_database_list",
    "pragma function without columns": "SELECT 1 FROM pragma_table_info('person')",
    "pages": "SELECT data FROM sqlite_dbpage",
    "statistics": "SELECT * FROM dbstat",
    "extension": "SELECT load_extension('{dir}/x.so')",
    "blob": "SELECT zeroblob(1000000000)",
    "random blob": "SELECT length(randomblob(1000000000))",
    "replace": "SELECT length(replace(replace(printf('%0100000d', 1), '0', printf('%01000d', 1)), '0', printf('%01000d', 1)))",
    "hex": "SELECT length(hex(hex(hex(hex(printf('%0900000d', 1))))))",
    "concatenation": "WITH RECURSIVE c(s) AS (SELECT 'xxxx' UNION ALL SELECT s || s FROM c) SELECT max(length(s)) FROM c",
    "big result": "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT x FROM c",
    "fat result": "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT printf('%0900000d', x) FROM c",
    "deep": "SELECT " + "(" * 5000 + "1" + ")" * 5000,
    "deep expression": "SELECT " + "+".join(["1"] * 5000),
    "many selects": " UNION ALL ".join(["SELECT 1"] * 600),
    "long": "SELECT '" + "x" * 200_000 + "'",
    "transaction": "BEGIN EXCLUSIVE",
    "savepoint": "SAVEPOINT a",
    "several": "SELECT 1; DROP TABLE person",
    "comment": "SELECT 1; -- x\n/* y */ DELETE FROM person",
    "nothing": "-- nothing",
    "parameter": "SELECT ?",
    "nul": "SELECT 'a\0b'",
    "surrogate": "SELECT '\ud800'",
    "rubbish": "SELEC age FROM",
    "no column": "SELECT nope FROM person",
    "explain": "EXPLAIN DELETE FROM person",
    "like": "SELECT name LIKE '" + "%a" * 2000 + "' FROM person",
}


@pytest.mark.parametrize("place", ["file", "schema"])
@pytest.mark.parametrize("name", ATTACKS)
async def test_an_attack_fails_and_changes_nothing(name, place, file, tmp_path):
    before = file.read_bytes()
    context = {"database": str(file)} if place == "file" else {"schema": SCHEMA}
    sql = ATTACKS[name].replace("{dir}", str(tmp_path))
    found = await ask(sql, task=Task(prompt="q", context=context), extract="exact_text", timeout=5.0)
    assert found.outcome == "fail", found
    assert found.reason in ("sql_error", "forbidden_sql", "too_large")
    assert found.feedback
    assert sorted(p.name for p in tmp_path.iterdir()) == [file.name]
    assert file.read_bytes() == before
    after = await ask("SELECT COUNT(*) FROM person", "SELECT 3", task=Task(prompt="q", reference="SELECT 3", context=context))
    assert after.outcome == "pass"


ENDLESS = {
    "recursion": "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT COUNT(*) FROM c",
    "product": "SELECT COUNT(*) FROM "
    + ", ".join(
        f"(WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c LIMIT 1000) SELECT x FROM c) t{i}" for i in range(5)
    ),
    "slow function": "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) "
    "SELECT sum(instr(printf('%0900000d', 1), printf('%0400000d', 2))) FROM c",
    "one opcode": "SELECT printf('%.*c', 1000000000, 'x')",
    "growth": "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT group_concat(printf('%01000d', x)) FROM c",
    "sort": "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT x FROM c ORDER BY x DESC LIMIT 1",
}


@pytest.mark.parametrize("name", ENDLESS)
async def test_an_endless_query_abstains_soon(name):
    began = time.monotonic()
    found = await ask(ENDLESS[name], timeout=0.3)
    # A worker at its memory limit may end before it can say so.
    assert (found.outcome, found.reason) in [("abstain", reason) for reason in ("timeout", "memory_limit", "verifier_crashed")]
    assert time.monotonic() - began < 20
    assert (await ask("SELECT name FROM person")).outcome == "pass"


async def test_it_runs_what_is_allowed(file):
    for sql in (
        "SELECT name, count(*) OVER () FROM person WHERE name LIKE 'A%'",
        "Here it is:\n```sql\nSELECT p.name\n-- a comment\nFROM person p JOIN old USING (id)\n```",
        "SELECT value FROM json_each('[1, 2]')",
        "SELECT photo, 1e999, 'ü' FROM person",
        "SELECT sql FROM sqlite_master",
        "WITH x AS (SELECT * FROM person) SELECT COUNT(*) FROM x",
        "WITH x AS MATERIALIZED (SELECT name AS n FROM old) SELECT n, y.z FROM x JOIN (SELECT age AS z FROM person) y",
        "SELECT COUNT(*) FROM (SELECT DISTINCT city FROM person)",
        "SELECT city, (SELECT COUNT(*) FROM person q WHERE q.city = p.city) FROM person p WHERE EXISTS (SELECT 1 FROM old)",
        "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 5) SELECT x FROM c",
    ):
        for context in ({"database": str(file)}, {"schema": SCHEMA}):
            found = await ask(sql, task=Task(prompt="q", context=context), non_empty=True)
            assert found.outcome == "pass", (sql, found)
            assert found.score == 1


async def test_the_result_counts_not_the_words():
    reference = "SELECT name FROM person WHERE age = 40"
    assert (await ask("SELECT p.name FROM person p WHERE p.age > 39 ORDER BY name DESC", reference)).outcome == "pass"
    found = await ask("SELECT name FROM person", reference)
    assert (found.outcome, found.reason, found.score) == ("fail", "mismatch", 0)
    assert (
        await ask("SELECT age FROM person WHERE age = 40", "SELECT DISTINCT age FROM person WHERE age = 40")
    ).outcome == "fail"


async def test_order_counts_where_the_reference_orders():
    reference = "SELECT name FROM person ORDER BY name"
    assert (await ask("SELECT name FROM person ORDER BY 1", reference)).outcome == "pass"
    assert (await ask("SELECT name FROM person ORDER BY name DESC", reference)).outcome == "fail"


@pytest.mark.parametrize(
    ("query", "ordered"),
    [
        ("SELECT a FROM t ORDER  BY a", True),
        ("SELECT row_number() OVER (ORDER BY a) FROM t", False),
        ("SELECT * FROM (SELECT a FROM t ORDER BY (a)) x", False),
        ("SELECT ' order by ' FROM t", False),
        ("SELECT a FROM t -- order by a\n", False),
        ("SELECT a FROM t ORDER BY (SELECT 1)", True),
    ],
)
def test_is_ordered(query, ordered):
    assert is_ordered(query) is ordered


async def test_numbers_by_value_unless_exact():
    assert (await ask("SELECT 40.0", "SELECT 40")).outcome == "pass"
    assert (await ask("SELECT 0.1 + 0.2", "SELECT 0.3")).outcome == "pass"
    assert (await ask("SELECT '40'", "SELECT 40")).outcome == "fail"
    assert (await ask("SELECT 9007199254740993", "SELECT 9007199254740992")).outcome == "fail"
    assert (await ask("SELECT 40.0", "SELECT 40", digits=None)).outcome == "fail"
    assert (await ask("SELECT NULL", "SELECT NULL")).outcome == "pass"


async def test_a_hidden_database_catches_accidents():
    reference = "SELECT COUNT(*) FROM person"
    lucky = "SELECT COUNT(*) FROM person WHERE name > 20"
    assert (await ask(lucky, reference)).outcome == "pass"
    found = await ask(lucky, reference, hidden=({"schema": OTHER},))
    assert (found.outcome, found.reason) == ("fail", "mismatch")
    assert "other data" in found.feedback
    assert "sample" not in found.evidence
    assert (await ask("SELECT COUNT(id) FROM person", reference, hidden=({"schema": OTHER},))).outcome == "pass"


async def test_without_a_reference():
    assert (await ask("SELECT name FROM person WHERE age > 99")).outcome == "pass"
    found = await ask("SELECT name FROM person WHERE age > 99", non_empty=True)
    assert (found.outcome, found.reason) == ("fail", "empty_result")
    assert (await ask("SELECT MAX(age) FROM person WHERE age > 99", non_empty=True)).outcome == "fail"
    assert (await ask("SELECT name FROM person", columns=["NAME"])).outcome == "pass"
    assert (await ask("SELECT name, age FROM person", columns=["name"])).reason == "columns"
    assert (await ask("there is none")).reason == "no_answer"


async def test_the_reference_is_not_told():
    reference = "SELECT name FROM person WHERE name = 'Bo' AND 'secret' = 'secret'"
    for sql in ("SELECT nope", "SELECT 1", "SELECT name FROM person", "DROP TABLE person", "none"):
        found = await ask(sql, reference)
        assert found.outcome == "fail"
        assert "secret" not in str(found)
        assert "Bo" not in found.feedback
    broken = await ask("SELECT 1", "SELECT secret FROM person")
    assert (broken.outcome, broken.reason) == ("abstain", "reference_error")
    assert "secret" not in str(broken)


async def test_what_stops_it_is_an_abstention(tmp_path):
    rubbish = tmp_path / "rubbish.db"
    rubbish.write_bytes(b"rubbish" * 1000)
    for context in (
        {"database": str(tmp_path / "missing.db")},
        {"database": str(rubbish)},
        {"schema": "CREATE TABEL x"},
        {"schema": f"ATTACH '{tmp_path}/new.db' AS x; CREATE TABLE x.y(a);"},
        {"schema": f"VACUUM INTO '{tmp_path}/new.db';"},
    ):
        found = await ask("SELECT 1", task=Task(prompt="q", context=context))
        assert (found.outcome, found.reason) == ("abstain", "no_database"), found
    assert [p.name for p in tmp_path.iterdir()] == ["rubbish.db"]
    assert (await ask("SELECT 1", task=Task(prompt="q", context={"schema": SCHEMA}), oracle=True)).reason == "no_reference"


def test_a_task_that_cannot_be_judged_is_refused():
    with pytest.raises(ConfigError, match="names no database"):
        SqliteQuery(oracle=False).check(Task(prompt="q"))
    with pytest.raises(ConfigError, match="has none"):
        SqliteQuery().check(Task(prompt="q", context={"schema": SCHEMA}))
    with pytest.raises(ConfigError, match="no SQL text"):
        SqliteQuery().check(Task(prompt="q", context={"schema": SCHEMA}, reference=3))
    SqliteQuery(oracle=False).check(Task(prompt="q", context={"schema": SCHEMA}))


async def test_a_file_in_use_by_a_writer_is_read(file):
    writer = sqlite3.connect(file, isolation_level=None)
    writer.execute("PRAGMA journal_mode = WAL")
    writer.execute("BEGIN IMMEDIATE")
    writer.execute("INSERT INTO person(name) VALUES ('new')")
    found = await ask(
        "SELECT COUNT(*) FROM person", "SELECT 3", task=Task(prompt="q", reference="SELECT 3", context={"database": str(file)})
    )
    writer.execute("ROLLBACK")
    writer.close()
    assert found.outcome == "pass"
