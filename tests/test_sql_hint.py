"""What a refused query is told of the database."""

import pytest

from burnish import Candidate, Task, make_verifier
from burnish.core.verify import judge
from burnish.verifiers.sql_hint import hint

COLUMNS = {"singer": ["id", "Name"], "concert": ["id", "year", "singer_id"], "Order": ["id"]}


@pytest.mark.parametrize(
    ("query", "message", "said"),
    [
        ("SELECT x FROM singers", "no such table: singers", "the tables are: singer, concert, Order"),
        ("SELECT age FROM singer", "no such column: age", "the columns of singer are: id, Name"),
        (
            "SELECT T1.year FROM singer AS T1 JOIN concert T2 ON T1.id = T2.singer_id",
            "no such column: T1.year",
            "year is a column of concert; the columns of singer are: id, Name",
        ),
        (
            "SELECT name FROM concert",
            "no such column: name",
            "name is a column of singer; the columns of concert are: id, year, singer_id",
        ),
        ("SELECT id FROM singer, concert", "ambiguous column name: id", "id is a column of singer, concert, Order; "),
        ('SELECT year FROM "Order"', "no such column: year", "year is a column of concert; the columns of Order are: id"),
        ("SELECT a b c FROM singer", 'near "c": syntax error', ""),
        ("SELECT age FROM nowhere", "no such column: age", ""),
    ],
)
def test_what_there_is_instead(query, message, said):
    assert hint(query, message, COLUMNS).startswith(said)
    assert bool(hint(query, message, COLUMNS)) == bool(said)


def test_it_is_bounded():
    many = {f"t{i}": [f"c{j}" for j in range(500)] for i in range(500)}
    query = "SELECT x FROM " + ", ".join(many)
    assert len(hint(query, "no such column: x", many)) < 1000
    assert len(hint(query, "no such table: y", many)) < 300
    assert hint(query, "no such table: y", {}) == ""


async def test_the_verifier_tells_it():
    verifier = make_verifier({"name": "sqlite_query", "oracle": False})
    task = Task(
        prompt="?", context={"schema": "CREATE TABLE singer (id INTEGER, name TEXT); CREATE VIEW v AS SELECT a FROM gone;"}
    )
    verdict = await judge(verifier, task, Candidate(id="c", position="c", text="SELECT nam FROM singer"))
    assert (verdict.outcome, verdict.reason) == ("fail", "sql_error")
    assert verdict.feedback == "SQL error: no such column: nam; the columns of singer are: id, name"
