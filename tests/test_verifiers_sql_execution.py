"""SQL of a model on PostgreSQL, and what is common to both databases. `test_verifiers_sqlite.py` has SQLite's attacks."""

import sqlite3
import time
import uuid
from pathlib import Path

import pytest

from burnish.core.candidate import Candidate
from burnish.core.errors import ConfigError
from burnish.core.task import Task
from burnish.core.verify import judge
from burnish.verifiers import SqlExecution, SqliteQuery, make_verifier
from burnish.verifiers.sql_execution_worker import is_ordered
from tests.traces_kit import POSTGRES

FUNCTIONS = str(Path(__file__).with_name("verifier_functions.py"))
TABLES = """
CREATE TABLE person(id INTEGER PRIMARY KEY, name TEXT, age INTEGER, city TEXT, share NUMERIC(12, 4));
INSERT INTO person VALUES (1, 'Ann; B', 30, 'Rome', 0.5), (2, 'Bo', 40, 'Oslo', NULL), (3, 'Cy', 40, 'Rome', 2);
"""
OTHER = """
CREATE TABLE person(id INTEGER PRIMARY KEY, name TEXT, age INTEGER, city TEXT, share NUMERIC(12, 4));
INSERT INTO person VALUES (1, 'secret', 20, 'Rome', NULL), (2, NULL, NULL, 'Lima', NULL);
"""
needs_postgres = [pytest.mark.postgres, pytest.mark.skipif(not POSTGRES, reason="no BURNISH_TEST_POSTGRES")]


@pytest.fixture(scope="module")
def server():
    """A schema with the tables, another with other data, and the URLs of a user who may only read them."""
    import psycopg

    owner = POSTGRES.replace("+psycopg", "")
    name = f"v{uuid.uuid4().hex[:10]}"
    urls = {}
    with psycopg.connect(owner, autocommit=True) as connection:
        connection.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'hunter2'")
        for kind, tables in (("tables", TABLES), ("other", OTHER)):
            schema = f"{name}_{kind}"
            connection.execute(f"CREATE SCHEMA {schema}; SET search_path = {schema}; {tables}")
            connection.execute(
                f"GRANT USAGE ON SCHEMA {schema} TO {name}; GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {name}"
            )
            host = owner.rpartition("@")[2]
            joint = "&" if "?" in host else "?"
            urls[kind] = f"postgresql+psycopg://{name}:hunter2@{host}{joint}options=-csearch_path%3D{schema}"
        connection.execute(
            f"SET search_path = {name}_tables; CREATE TABLE denied(x INT);"
            f"CREATE SEQUENCE seq; GRANT USAGE ON SEQUENCE seq TO {name};"
            "CREATE FUNCTION stamp() RETURNS INT LANGUAGE SQL VOLATILE SECURITY DEFINER AS 'DELETE FROM person; SELECT 1';"
            "CREATE FUNCTION twice(x INT) RETURNS INT LANGUAGE SQL STABLE AS 'SELECT 2 * x'"
        )
        yield {"owner": POSTGRES, "name": name, **urls}
        connection.execute(f"DROP SCHEMA {name}_tables, {name}_other CASCADE; DROP OWNED BY {name}; DROP ROLE {name}")


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=needs_postgres)])
def places(request):
    """Where the tables are, and those with other data, on each kind of database."""
    if request.param == "sqlite":
        return {"schema": TABLES}, {"schema": OTHER}
    urls = request.getfixturevalue("server")
    return {"database": urls["tables"]}, {"database": urls["other"]}


async def ask(place, sql, reference=None, **rest):
    rest.setdefault("oracle", reference is not None)
    task = Task(prompt="q", reference=reference, context=place)
    return await judge(SqlExecution(**rest), task, Candidate.of(sql))


async def test_it_runs(places):
    for sql in (
        "SELECT name, count(*) OVER () FROM person WHERE name LIKE 'A%'",
        "Here it is:\n```sql\nSELECT p.name\n-- a comment\nFROM person p;\n```",
        "WITH x AS (SELECT * FROM person) SELECT COUNT(*) FROM x;",
        "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 5) SELECT x FROM c",
        "SELECT name AS \"who's % that\" FROM person WHERE name LIKE '%o'",
    ):
        found = await ask(places[0], sql, non_empty=True)
        assert (found.outcome, found.score) == ("pass", 1), (sql, found)
    assert (await ask(places[0], "SELECT name, age FROM person WHERE id = 2")).evidence["sample"] == [["Bo", 40]]


async def test_the_result_counts(places):
    at = places[0]
    reference = "SELECT name FROM person WHERE age = 40"
    assert (await ask(at, "SELECT p.name FROM person p WHERE p.age > 39 ORDER BY name DESC", reference)).outcome == "pass"
    found = await ask(at, "SELECT name FROM person", reference)
    assert (found.outcome, found.reason, found.feedback) == ("fail", "mismatch", "the query's result is not right; it has 3 rows")
    assert (await ask(at, "SELECT age FROM person", "SELECT DISTINCT age FROM person")).outcome == "fail"
    ordered = "SELECT name FROM person ORDER BY name;"
    assert (await ask(at, "SELECT name FROM person ORDER BY 1", ordered)).outcome == "pass"
    assert (await ask(at, "SELECT name FROM person ORDER BY name DESC", ordered)).outcome == "fail"


async def test_values_meet(places):
    at = places[0]
    for ours, theirs, outcome in (
        ("AVG(age) FROM person", "110.0 / 3", "pass"),
        ("SUM(share) FROM person", "2.5", "pass"),
        ("40.0", "40", "pass"),
        ("9007199254740993", "9007199254740992", "fail"),
        ("NULL", "NULL", "pass"),
        ("NULL", "0", "fail"),
        ("'40'", "40", "fail"),
    ):
        assert (await ask(at, f"SELECT {ours}", f"SELECT {theirs}")).outcome == outcome, (ours, theirs)
    assert (await ask(at, "SELECT 40.0", "SELECT 40", digits=None)).outcome == "fail"


async def test_a_hidden_database_catches_accidents(places):
    lucky = "SELECT 3"
    assert (await ask(places[0], lucky, "SELECT COUNT(*) FROM person")).outcome == "pass"
    found = await ask(places[0], lucky, "SELECT COUNT(*) FROM person", hidden=(places[1],))
    assert (found.outcome, found.reason) == ("fail", "mismatch")
    assert found.feedback == "the query's result is not right on a database with other data"
    assert "sample" not in found.evidence
    assert (await ask(places[0], "SELECT COUNT(id) FROM person", "SELECT COUNT(*) FROM person", hidden=(places[1],))).score == 1


async def test_errors_are_feedback_and_tell_no_reference(places):
    reference = "SELECT name FROM person WHERE name = 'Bo' AND 'gold' = 'gold'"
    for sql, words in (
        ("SELECT nope FROM person", "nope"),
        ("SELECT name FROM persons", "persons"),
        ("SELECT name FROM person WHERE", "SQL error"),
        ("SELECT name FROM person GROUP BY sum(age)", "SQL error"),
    ):
        found = await ask(places[0], sql, reference)
        assert (found.outcome, found.reason) == ("fail", "sql_error")
        assert words in found.feedback
        assert "gold" not in str(found)
    broken = await ask(places[0], "SELECT 1", "SELECT gold FROM person")
    assert (broken.outcome, broken.score, broken.reason) == ("abstain", None, "reference_error")
    assert "gold" not in str(broken)
    escape = await ask(places[0], 'SELECT "\x1b[31m\u202e" FROM person')
    assert "\x1b" not in escape.feedback
    assert "\u202e" not in escape.feedback


async def test_an_error_tells_how_far_the_query_is_right(places):
    for sql, right in (
        ("SELECT name FROM person WHERE nope = 1", "SELECT name FROM person WHERE"),
        ("Sure:\n```sql\nSELECT 'ü', name FROM persons\n```", "Sure:\n```sql\nSELECT 'ü', name FROM"),
        ("SELECT name FROM person GROUP ORDER BY 1", "SELECT name FROM person GROUP"),
    ):
        found = await ask(places[0], sql)
        assert (found.reason, sql[: found.valid_prefix]) == ("sql_error", right)
    assert (await ask(places[0], "SELECT name FROM person", "SELECT 1")).valid_prefix is None


async def test_without_a_reference(places):
    found = await ask(places[0], "SELECT name FROM person WHERE age > 99", non_empty=True)
    assert (found.outcome, found.reason) == ("fail", "empty_result")
    assert (await ask(places[0], "SELECT name FROM person", columns=["NAME"])).outcome == "pass"
    assert (await ask(places[0], "SELECT name, age FROM person", columns=["name"])).reason == "columns"
    assert (await ask(places[0], "there is none")).reason == "no_answer"


async def test_a_test_of_the_users_judges_the_rows(places):
    test = f"{FUNCTIONS}:two_of_three"
    assert (await ask(places[0], "SELECT name FROM person", test=test)).outcome == "pass"
    found = await ask(places[0], "SELECT name, age FROM person WHERE age = 40", test=test)
    assert (found.outcome, found.score, found.feedback, found.reason) == ("fail", 0.5, "2 rows of ['name', 'age']", "rows")
    assert found.evidence["sample"]
    for name, reason in (("fails_on_rows", "verifier_error"), ("odd_on_rows", "bad_return")):
        found = await ask(places[0], "SELECT name FROM person", test=f"{FUNCTIONS}:{name}")
        assert (found.outcome, found.score, found.reason) == ("abstain", None, reason)


async def test_a_test_that_hangs_is_killed():
    found = await ask({"schema": TABLES}, "SELECT name FROM person", test=f"{FUNCTIONS}:hangs_on_rows", timeout=0.3)
    assert (found.outcome, found.score, found.reason) == ("abstain", None, "timeout")


def test_a_test_is_checked():
    with pytest.raises(ConfigError, match="without the reference"):
        SqlExecution(test=f"{FUNCTIONS}:two_of_three")
    with pytest.raises(ConfigError, match="does not take"):
        SqlExecution(test=f"{FUNCTIONS}:says_yes", oracle=False)
    with pytest.raises(ConfigError, match="has no nothing"):
        SqlExecution(test=f"{FUNCTIONS}:nothing", oracle=False)
    assert SqlExecution(test=f"{FUNCTIONS}:two_of_three", oracle=False).version != SqlExecution().version


def test_the_databases_name_says_what_it_is(tmp_path, monkeypatch):
    task = Task(prompt="q", reference="SELECT 1")
    SqlExecution(database="postgresql://localhost/x").check(task)
    with pytest.raises(ConfigError, match="of the kind 'mysql'"):
        SqlExecution(database="mysql://localhost/x").check(task)
    with pytest.raises(ConfigError, match=r"names a PostgreSQL database.*use sql_execution"):
        SqliteQuery(database="postgresql://localhost/x").check(task)
    with pytest.raises(ConfigError, match="names no database"):
        SqlExecution().check(task)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"needs psycopg.*burnish\[postgres\]"):
        SqlExecution(database="postgresql://localhost/x").check(task)


async def test_a_sqlite_url_is_a_file(tmp_path):
    sqlite3.connect(tmp_path / "a.db").executescript(TABLES).connection.close()
    found = await judge(
        make_verifier(f"sql_execution:sqlite:///{tmp_path}/a.db"),
        Task(prompt="q", reference="SELECT 3"),
        Candidate.of("SELECT COUNT(*) FROM person"),
    )
    assert found.outcome == "pass"


async def test_a_locked_file_is_an_abstention(tmp_path):
    sqlite3.connect(tmp_path / "a.db").executescript(TABLES).connection.close()
    writer = sqlite3.connect(tmp_path / "a.db", isolation_level=None)
    writer.execute("BEGIN EXCLUSIVE")
    found = await ask({"database": str(tmp_path / "a.db")}, "SELECT 1 FROM person", timeout=1.0)
    writer.close()
    assert (found.outcome, found.score) == ("abstain", None)
    assert found.reason in ("no_database", "timeout")


@pytest.mark.parametrize(
    ("query", "ordered"), [("SELECT a FROM t /* order\n by a */", False), ("SELECT a FROM t /* x */ ORDER BY a", True)]
)
def test_comments_do_not_order(query, ordered):
    assert is_ordered(query) is ordered


ATTACKS = {
    "drop": "DROP TABLE person",
    "insert": "INSERT INTO person(id) VALUES (9) RETURNING id",
    "insert in with": "WITH x AS (INSERT INTO person(id) VALUES (9) RETURNING id) SELECT * FROM x",
    "delete in with": "WITH x AS (DELETE FROM person RETURNING id) SELECT * FROM x",
    "select into": "SELECT * INTO copied FROM person",
    "temp": "CREATE TEMP TABLE x(a INT)",
    "for update": "SELECT * FROM person FOR UPDATE",
    "set": "SET statement_timeout = 0",
    "read write": "SET TRANSACTION READ WRITE",
    "commit": "COMMIT",
    "several": "SELECT 1; DROP TABLE person",
    "several in a comment": "SELECT 1 /* ; */; -- x\nSET statement_timeout = 0; SELECT 1",
    "end of declare": "SELECT 1; COMMIT; DROP TABLE person; DECLARE x CURSOR FOR SELECT 1",
    "do": "DO $$ BEGIN PERFORM pg_sleep(60); END $$",
    "copy": "COPY person TO 'burnish-copy'",
    "copy program": "COPY (SELECT 1) TO PROGRAM 'touch burnish-program'",
    "listen": "LISTEN x",
    "lock": "LOCK TABLE person",
    "explain": "EXPLAIN ANALYZE SELECT 1",
    "call": "CALL x()",
    "prepare": "PREPARE x AS SELECT 1",
    "no settings": "SELECT set_config('statement_timeout', '0', false), pg_sleep(60)",
    "no writing": "SELECT set_config('transaction_read_only', 'off', true)",
    "another role": "SELECT set_config('role', 'burnish', false)",
    "sleep": "SELECT pg_sleep(60)",
    "quoted sleep": 'SELECT pg_catalog."pg_sleep"(60)',
    "escaped sleep": 'SELECT U&"pg\\005fsleep"(60)',
    "upper sleep": "SELECT PG_SLEEP(60)",
    "commented sleep": "SELECT pg_sleep/* */(60)",
    "lock for others": "SELECT pg_advisory_lock(1)",
    "end others": "SELECT pg_terminate_backend(pid) FROM pg_stat_activity",
    "notify": "SELECT pg_notify('x', 'y')",
    "sequence": "SELECT nextval('seq')",
    "read a file": "SELECT pg_read_file('/etc/passwd')",
    "list files": "SELECT pg_ls_dir('.')",
    "large object": "SELECT lo_create(0)",
    "import": "SELECT lo_import('/etc/passwd')",
    "inner query": "SELECT query_to_xml('DELETE FROM person', true, true, '')",
    "user's function": "SELECT stamp()",
    "denied table": "SELECT * FROM denied",
    "passwords": "SELECT rolpassword FROM pg_authid",
    "extension": "SELECT * FROM dblink('dbname=postgres', 'SELECT 1') AS x(a INT)",
    "rows": "SELECT generate_series(1, 100000000)",
    "wide rows": "SELECT repeat('x', 1000000) FROM generate_series(1, 100)",
    "deep": "SELECT " + "(" * 50_000 + "1" + ")" * 50_000,
    "long": "SELECT '" + "x" * 200_000 + "'",
    "parameter": "SELECT $1",
    "nul": "SELECT 'a\0b'",
    "nul in a name": 'SELECT "a\0b" FROM person',
    "surrogate": "SELECT '\ud800'",
    "surrogate in a name": 'SELECT "\ud800" FROM person',
    "division": "SELECT 1 / 0",
    "nothing": "-- nothing",
    "rubbish": "SELEC age FROM",
}


@pytest.mark.postgres
@pytest.mark.skipif(not POSTGRES, reason="no BURNISH_TEST_POSTGRES")
class TestPostgres:
    @pytest.mark.parametrize("name", ATTACKS)
    async def test_an_attack_fails_and_changes_nothing(self, name, server):
        at = {"database": server["tables"]}
        found = await ask(at, ATTACKS[name], extract="exact_text", timeout=5.0)
        assert found.outcome == "fail", found
        assert found.reason in ("sql_error", "forbidden_sql", "too_large")
        assert found.feedback
        assert (await ask(at, "SELECT COUNT(*) FROM person", "SELECT 3")).outcome == "pass"

    @pytest.mark.parametrize(
        "sql",
        [
            "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT COUNT(*) FROM c",
            "SELECT COUNT(*) FROM generate_series(1, 100000) a, generate_series(1, 100000) b",
            "SELECT sum(length(repeat(name, 100000))) FROM person, generate_series(1, 10000000)",
        ],
    )
    async def test_an_endless_query_abstains_soon_and_ends_on_the_server(self, sql, server):
        began = time.monotonic()
        found = await ask({"database": server["tables"]}, sql, timeout=0.4)
        assert (found.outcome, found.score, found.reason) == ("abstain", None, "timeout")
        assert time.monotonic() - began < 20
        running = "SELECT pid FROM pg_stat_activity WHERE usename = current_user AND pid <> pg_backend_pid()"
        while (await ask({"database": server["tables"]}, running, "SELECT 1 WHERE false")).outcome != "pass":
            assert time.monotonic() - began < 30

    async def test_a_giant_value_is_no_score(self, server):
        found = await ask({"database": server["tables"]}, "SELECT repeat('x', 50000000)", timeout=20.0)
        assert (found.outcome, found.reason) in (("fail", "too_large"), ("abstain", "memory_limit"))
        assert (await ask({"database": server["tables"]}, "SELECT 1")).outcome == "pass"

    async def test_what_it_may_call(self, server):
        for sql in ("SELECT twice(age), random(), now(), upper(name), to_char(now(), 'YYYY') FROM person", "SELECT version()"):
            assert (await ask({"database": server["tables"]}, sql)).outcome == "pass"

    async def test_values_of_every_type_are_compared(self, server):
        at = {"database": server["tables"]}
        for value in (
            "DATE '2024-01-31'",
            "TIMESTAMPTZ 'infinity'",
            "INTERVAL '1 month'",
            '\'{"b": 1, "a": [2]}\'::jsonb',
            "ARRAY[1, 2]",
            "'\\x00ff'::bytea",
            "'NaN'::float8",
            "'NaN'::numeric",
            "'-Infinity'::float8",
            "'Infinity'::numeric",
            "1.5::numeric * power(10::numeric, 400)",
            "true",
            "1e300::numeric",
            "'(1,2)'::point",
            "ROW(1, 'a')",
        ):
            same = await ask(at, f"SELECT {value}", f"SELECT {value} AS other")
            assert same.outcome == "pass", (value, same)
            assert (await ask(at, f"SELECT {value}", "SELECT 'else'")).outcome == "fail"

    async def test_a_powerful_role_is_refused(self, server):
        found = await ask({"database": server["owner"]}, "SELECT 1")
        assert (found.outcome, found.score, found.reason) == ("abstain", None, "unsafe_role")
        assert "SELECT" in found.feedback

    @pytest.mark.parametrize(
        "url",
        [
            "postgresql://canary:hunter2@127.0.0.1:9/none?connect_timeout=2",
            "postgresql://canary:hunter2@127.0.0.1:notaport/none",
            "postgresql://canary:hunter2@[::bad/none?x=y&z",
        ],
    )
    async def test_a_database_out_of_reach_abstains_and_keeps_the_password(self, url):
        found = await ask({"database": url}, "SELECT 1")
        assert (found.outcome, found.score, found.reason) == ("abstain", None, "no_database")
        assert "hunter2" not in str(found)

    async def test_values_of_a_hidden_database_are_not_quoted(self, server):
        sql = "SELECT CASE WHEN name = 'secret' THEN name::int END FROM person"
        found = await ask({"database": server["tables"]}, sql, hidden=({"database": server["other"]},))
        assert (found.outcome, found.feedback) == ("fail", "the query fails on a database with other data")
        assert 'secret"' not in str(found).replace(sql, "")
