"""What a refused query is told of the database, and one that finds nothing."""

import time

import pytest

from burnish import Candidate, Task, make_verifier
from burnish.core.verify import judge
from burnish.verifiers.sql_hint import Schema, hint
from burnish.verifiers.sql_joins import join_to, keys_by_name
from burnish.verifiers.sql_scope import Used, scope, tables_of
from burnish.verifiers.sql_values import why_empty

COLUMNS = {
    "singer": ["id", "Name", "Birth_Year"],
    "concert": ["id", "year", "singer_id", "hall_id"],
    "hall": ["hall_id", "Town"],
    "Order": ["id"],
}
SCHEMA = Schema(columns=COLUMNS, keys=[("concert", "singer_id", "singer", "id")])
OF_SINGER = "the columns of singer are: id, Name, Birth_Year"
OF_CONCERT = "the columns of concert are: id, year, singer_id, hall_id"


@pytest.mark.parametrize(
    ("query", "message", "said"),
    [
        ("SELECT x FROM shops", "no such table: shops", "the tables are: singer, concert, hall, Order"),
        (
            "SELECT x FROM singers",
            "no such table: singers",
            "perhaps singer is meant; the tables are: singer, concert, hall, Order",
        ),
        ("SELECT age FROM singer", "no such column: age", OF_SINGER),
        ("SELECT BirthYear FROM singer", "no such column: BirthYear", f"perhaps Birth_Year is meant; {OF_SINGER}"),
        # It is another table's, which the query reads already, or can join by a declared key, or by names, or by way of another.
        (
            "SELECT T1.year FROM singer AS T1 JOIN concert T2 ON T1.id = T2.singer_id",
            "no such column: T1.year",
            f"year is a column of concert: write T2.year; {OF_SINGER}",
        ),
        (
            "SELECT name FROM concert c",
            "no such column: name",
            f"name is a column of singer: JOIN singer ON c.singer_id = singer.id; {OF_CONCERT}",
        ),
        (
            "SELECT town FROM concert WHERE year = 3",
            "no such column: town",
            f"town is a column of hall: JOIN hall ON concert.hall_id = hall.hall_id; {OF_CONCERT}",
        ),
        (
            "SELECT town FROM singer",
            "no such column: town",
            "town is a column of hall: JOIN concert ON singer.id = concert.singer_id JOIN hall ON concert.hall_id = hall.hall_id",
        ),
        # Tables of another SELECT do not count.
        (
            "SELECT name FROM hall WHERE hall_id IN (SELECT id FROM singer)",
            "no such column: name",
            "name is a column of singer: "
            "JOIN concert ON hall.hall_id = concert.hall_id JOIN singer ON concert.singer_id = singer.id; the columns of hall ",
        ),
        (
            "SELECT id FROM singer WHERE id IN (SELECT singer_id FROM concert WHERE Name = 'x')",
            "no such column: Name",
            f"Name is a column of singer: JOIN singer ON concert.singer_id = singer.id; {OF_CONCERT}",
        ),
        (
            'SELECT "birthyear" FROM singer',
            'no such column: "birthyear" - should this be a string literal in single-quotes?',
            f"perhaps Birth_Year is meant; {OF_SINGER}",
        ),
        # The first place where it stands may be right.
        (
            "SELECT Name FROM singer WHERE id IN (SELECT Name FROM concert ORDER BY Name)",
            "no such column: Name",
            f"Name is a column of singer: JOIN singer ON concert.singer_id = singer.id; {OF_CONCERT}",
        ),
        ("SELECT age, year FROM concert", "no such column: age", OF_CONCERT),
        (
            "SELECT id FROM singer, concert",
            "ambiguous column name: id",
            f"id is a column of singer, concert, Order: write singer.id or concert.id; {OF_SINGER}; {OF_CONCERT}",
        ),
        ('SELECT year FROM "Order"', "no such column: year", "year is a column of concert; the columns of Order are: id"),
        ("SELECT year(x) FROM singer", "no such function: YEAR", "SQLite has strftime('%Y', ...) instead"),
        ("SELECT soundex(x) FROM singer", "no such function: soundex", ""),
        (
            "SELECT id FROM singer WHERE COUNT(*) > 1",
            "misuse of aggregate function COUNT()",
            "a condition on an aggregate stands in HAVING",
        ),
        ("SELECT id FROM singer ORDER BY COUNT(*)", "misuse of aggregate: COUNT()", "to order by an aggregate"),
        ("SELECT a b c FROM singer", 'near "c": syntax error', ""),
        ("SELECT age FROM nowhere", "no such column: age", ""),
    ],
)
def test_what_there_is_instead(query, message, said):
    found = hint(query, message, SCHEMA)
    assert found.startswith(said)
    assert bool(found) == bool(said)


def test_it_is_bounded():
    many = {f"t{i}": [f"c{j}" for j in range(500)] for i in range(500)}
    query = "SELECT x FROM " + ", ".join(many)
    assert len(hint(query, "no such column: x", Schema(columns=many))) < 1000
    assert len(hint(query, "no such column: c7", Schema(columns=many))) < 1500
    assert len(hint(query, "no such table: y", Schema(columns=many))) < 300
    assert hint(query, "no such table: y", Schema(columns={})) == ""
    began = time.monotonic()
    for hard in ("(" * 19_000, "(select " * 2400, "a " * 9000, "from a, " * 2000, "a.x = '" * 2000):
        hint(hard, "no such column: a", SCHEMA)
        why_empty(hard, SCHEMA, lambda query: [])
    assert time.monotonic() - began < 20  # A hang guard.
    assert hint("SELECT nam FROM singer" + " " * 30_000, "no such column: nam", SCHEMA) == ""


@pytest.mark.parametrize(
    "query", ["", "(", ")))((", "SELECT (SELECT", "'" * 99, "SELECT a FROM (((b", "UNION UNION", "-- x", "/* ("]
)
def test_rubbish_is_read_as_far_as_it_goes(query):
    for message in (
        "no such column: a",
        "ambiguous column name: t.a",
        "no such table: a",
        "no such column: ",
        "no such column: a.b.c",
    ):
        assert isinstance(hint(query, message, SCHEMA), str)
    for at in (0, len(query), len(query) + 5):
        assert isinstance(scope(query, at), str)


def test_the_select_around_a_place():
    query = "SELECT a FROM b WHERE c IN (SELECT d FROM e WHERE f = ')') UNION SELECT g FROM h"
    for name, tables in (("a", "b"), ("c", "b"), ("d", "e"), ("f", "e"), ("g", "h")):
        own = tables_of(scope(query, query.index(f" {name} ") + 1), {t: [] for t in "beh"})
        assert own == [Used(table=tables, name=tables)]


def test_joins_take_the_shortest_way_and_none_where_there_is_none():
    used = [Used(table="singer", name="s")]
    assert join_to("Order", used, SCHEMA.keys) == ""
    assert keys_by_name(COLUMNS) == [("concert", "hall_id", "hall", "hall_id")]
    assert join_to("concert", [*used, Used(table="hall", name="hall")], [*SCHEMA.keys, *keys_by_name(COLUMNS)]).count("JOIN") == 1
    strange = [("a b", 'x"y', "c", "id")]
    assert join_to("c", [Used(table="a b", name="a b")], strange) == 'JOIN c ON "a b"."x""y" = c.id'


DATABASE = """
CREATE TABLE singer (id INTEGER PRIMARY KEY, name TEXT, country TEXT, label INTEGER);
CREATE TABLE concert (id INTEGER PRIMARY KEY, singer_id INTEGER REFERENCES singer(id), year INTEGER);
INSERT INTO singer VALUES (1, 'Ann', 'France', 10), (2, 'Bo', 'South Korea', 20), (3, 'O''Neil', 'Spain', 30);
INSERT INTO singer VALUES (4, 'Di', 'Peru', 40), (5, 'Eve', 'Italy', 50), (6, 'Fay', 'Chile', 60);
CREATE VIEW v AS SELECT a FROM gone;
"""


async def said_of(query, **more):
    verifier = make_verifier({"name": "sqlite_query", "oracle": False, "non_empty": True, **more})
    return await judge(verifier, Task(prompt="?", context={"schema": DATABASE}), Candidate.of(query))


@pytest.mark.parametrize(
    ("query", "said"),
    [
        (
            "SELECT nam FROM singer",
            "no such column: nam; perhaps name is meant; the columns of singer are: id, name, country, label",
        ),
        ("SELECT name FROM concert", "name is a column of singer: JOIN singer ON concert.singer_id = singer.id;"),
        ("SELECT name singer FROM FROM concert", 'near "FROM": syntax error; it reads up to: SELECT name singer FROM'),
    ],
)
async def test_the_verifier_tells_it(query, said):
    verdict = await said_of(query)
    assert (verdict.outcome, verdict.reason) == ("fail", "sql_error")
    assert said in verdict.feedback


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("SELECT * FROM singer WHERE country = 'france'", "; no singer.country is 'france': there is 'France'"),
        ("SELECT * FROM singer s WHERE s.country = 'SouthKorea'", "; no singer.country is 'SouthKorea': there is 'South Korea'"),
        ("SELECT * FROM singer WHERE country LIKE '%korea' AND name = 'Ann'", ""),
        ("SELECT * FROM singer WHERE label = 'Sony'", "; no singer.label is 'Sony': it holds 10, 20, 30, ..."),
        ("SELECT * FROM singer WHERE name = 'O''Neill'", "; no singer.name is 'O''Neill': there is 'O''Neil'"),
        ("SELECT * FROM singer WHERE country = 'Xxyz'", "; no singer.country is 'Xxyz'; it holds others, such as 'France'"),
        ('SELECT * FROM singer WHERE country = "france"', "; no singer.country is 'france': there is 'France'"),
        ('SELECT * FROM singer WHERE country = "name"', ""),
        ("SELECT * FROM singer WHERE name LIKE '%nnn%'", "; no singer.name is like '%nnn%': there is 'Ann'"),
        ("SELECT * FROM concert WHERE year = 'x'", ""),
        (
            "SELECT * FROM concert c JOIN singer s ON s.id = c.singer_id WHERE s.name = 'ann' AND c.year = 'x'",
            "; no singer.name is 'ann': there is 'Ann'",
        ),
        ("SELECT * FROM singer WHERE id > 99", ""),
        ("SELECT name FROM singer WHERE id IN (SELECT singer_id FROM concert)", ""),
    ],
)
async def test_a_text_that_stands_nowhere_is_named(query, said):
    verdict = await said_of(query)
    assert (verdict.outcome, verdict.reason) == ("fail", "empty_result")
    expected = f"the query finds nothing{said}"
    assert verdict.feedback.startswith(expected)
    if not said:
        assert verdict.feedback.split(";")[0] == "the query finds nothing"


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("SELECT nam FROM singer", "SQL error: no such column: nam"),
        ("SELECT name FROM singer WHERE country = 'france'", "the query finds nothing"),
    ],
)
async def test_no_more_than_the_databases_own_words_if_that_is_asked_for(query, said):
    assert (await said_of(query, explain=False)).feedback == said


async def test_what_a_hidden_database_holds_is_not_told():
    hidden = [{"schema": DATABASE.replace("France", "Secretland").replace("Peru", "France")}]
    query = "SELECT * FROM singer WHERE country = 'Peru'"
    verdict = await said_of(query, hidden=hidden)
    assert (verdict.outcome, verdict.reason) == ("fail", "empty_result")
    assert verdict.feedback == "the query finds nothing on a database with other data"


async def test_looking_for_a_reason_ends_soon():
    slow = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c LIMIT 9000000) SELECT 'v' || x AS t FROM c"
    task = Task(prompt="?", context={"schema": f"CREATE TABLE a(b TEXT); CREATE VIEW w AS {slow};"})
    verifier = make_verifier({"name": "sqlite_query", "oracle": False, "non_empty": True})
    verdict = await judge(verifier, task, Candidate.of("SELECT * FROM a CROSS JOIN w WHERE w.t = 'z'"))
    assert (verdict.outcome, verdict.reason, verdict.feedback) == ("fail", "empty_result", "the query finds nothing")
