"""SQL over several turns: what its actions do, what they cannot do, and InterCode's reward."""

import random
import sqlite3
from itertools import combinations

import pytest

from burnish import ConfigError, Task, VerifierFailed, make_verifier
from burnish.core.candidate import Candidate
from burnish.core.environment import Environment
from burnish.core.verify import judge
from burnish.environments import Sql, environment_maker
from burnish.environments.sql_worker import kendall_tau, similarity

SCHEMA = """
CREATE TABLE person(name TEXT, age INT);
INSERT INTO person VALUES ('Ann', 30), ('Bo', 40), ('Cy', 50), ('Di', 60), ('Bo', 40);
CREATE TABLE nobody(name TEXT);
"""


def task(reference="SELECT name FROM person", **context):
    return Task(prompt="Who?", reference=reference, context=context or {"schema": SCHEMA})


async def opened(given=None, **arguments):
    environment = environment_maker({"name": "sql", **arguments})()
    await environment.reset(given or task(), 0)
    return environment


async def reward(answer, reference="SELECT name FROM person"):
    return await Sql().reward(task(reference), answer)


def test_it_is_an_environment():
    assert isinstance(Sql(), Environment)
    with pytest.raises(ConfigError, match="rows"):
        environment_maker({"name": "sql", "rows": 0})
    with pytest.raises(ConfigError, match="no argument seconds"):
        environment_maker({"name": "sql", "seconds": 1})


async def test_an_episode():
    environment = await opened(rows=2)
    nothing = await environment.step("submit")
    assert (nothing.refused, nothing.done) == (True, False)
    assert (await environment.step("SELECT nam FROM person")).text.startswith("Error: SQL error: no such column: nam")
    seen = await environment.step("SELECT name, age FROM person ORDER BY age DESC")
    assert seen.text == "5 rows\nname | age\nDi | 60\nCy | 50\n[3 more rows left out]"
    assert not seen.done
    end = await environment.step("  Submit; ")
    assert (end.done, end.answer) == (True, "SELECT name, age FROM person ORDER BY age DESC")


async def test_the_last_query_is_the_answer_even_if_it_failed():
    environment = await opened()
    await environment.step("SELECT name FROM person")
    await environment.step("SELECT nothing")
    assert (await environment.step("submit")).answer == "SELECT nothing"
    assert (await reward("SELECT nothing")).score == 0


async def test_a_restored_episode_goes_on_with_its_last_query():
    environment = Sql()
    await environment.restore(task(), 0, ["SELECT 1", "SELECT 2", "submit;"])
    assert (await environment.step("submit")).answer == "SELECT 2"


@pytest.mark.parametrize(
    "attack",
    [
        "DROP TABLE person",
        "DELETE FROM person",
        "ATTACH '/etc/passwd' AS p",
        "PRAGMA query_only = OFF",
        "SELECT load_extension('x')",
        "SELECT 1; DELETE FROM person",
        "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t) SELECT * FROM t",
        "SELECT hex(zeroblob(900000000))",
        "",
        "\0",
        "\ud800",
        "no SQL at all",
    ],
)
async def test_what_no_query_may_do_is_an_observation(tmp_path, attack):
    path = tmp_path / "a.sqlite"
    with sqlite3.connect(path) as connection:
        connection.executescript(SCHEMA)
    connection.close()
    environment = await opened(task(database=str(path)), timeout=0.5)
    seen = await environment.step(attack)
    assert seen.text.startswith("Error: ")
    assert not seen.done
    assert (await environment.step("SELECT count(*) FROM person")).text == "1 row\ncount(*)\n5"


async def test_cells_are_shown_on_one_line_without_control_characters():
    query = "SELECT 'a' || char(10) || char(27) || 'b' AS \"a\nb\", NULL, x'0102', printf('%099d', 0)"
    seen = await (await opened()).step(query)
    assert seen.text.splitlines()[1].startswith("a b | NULL")
    assert seen.text.splitlines()[2].startswith("a \\x1bb | NULL | x'0102' | 000")
    assert seen.text.endswith("...")
    assert len(seen.text.splitlines()) == 3


async def test_the_tables_are_shown_on_demand():
    assert "CREATE TABLE nobody(name TEXT);" in (await Sql(show_schema=True).reset(task(), 0)).text
    assert "nobody" not in (await Sql().reset(task(), 0)).text


async def test_a_missing_database_is_a_failure_and_no_observation(tmp_path):
    with pytest.raises(VerifierFailed) as failed:
        await Sql().reset(task(database=str(tmp_path / "none.db")), 0)
    assert failed.value.code == "no_database"
    assert (await Sql().reward(task(database=str(tmp_path / "none.db")), "SELECT 1")).outcome == "abstain"
    for context in ({"note": "x"}, {"database": "postgresql://h/d"}, {"database": 3}):
        with pytest.raises(ConfigError, match="names no SQLite database"):
            Sql().check(task(**context))


@pytest.mark.parametrize(
    ("answer", "reference", "value", "outcome"),
    [
        ("SELECT name FROM person", "SELECT name FROM person", 1.0, "pass"),
        ("SELECT name FROM person WHERE 0", "SELECT name FROM nobody", 1.0, "pass"),
        ("SELECT name FROM nobody", "SELECT name FROM person", 0.0, "fail"),
        ("SELECT 'Ann'", "SELECT name FROM person", 0.2, "fail"),
        # One row of each: the union is 7, two copies of Bo are common, and tau is not defined.
        ("SELECT 'Bo' UNION ALL SELECT 'Bo' UNION ALL SELECT 'Bo'", "SELECT 'Bo' UNION ALL SELECT 'Bo'", 2 / 3, "fail"),
        # The same rows backwards: tau is -1.
        ("SELECT name FROM person ORDER BY name DESC", "SELECT DISTINCT name FROM person ORDER BY name", -0.8, "fail"),
        ("SELECT 'a' UNION ALL SELECT 'c' UNION ALL SELECT 'b'", "SELECT 'a' UNION SELECT 'b' UNION SELECT 'c'", 0.33, "fail"),
        ("SELECT 1", "SELECT 1.0", 0.0, "fail"),
        ("SELECT nothing", "SELECT name FROM person", 0.0, "fail"),
    ],
)
async def test_rewards_worked_out_by_hand(answer, reference, value, outcome):
    verdict = await reward(answer, reference)
    assert verdict.evidence["reward"] == pytest.approx(value)
    assert verdict.score == pytest.approx(max(0.0, value))
    assert verdict.outcome == outcome


async def test_a_reward_that_only_rounds_to_1_is_no_pass():
    count = "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t WHERE n < {}) SELECT printf('%04d', n) FROM t"
    verdict = await reward(count.format(999), count.format(1000))
    assert (verdict.outcome, verdict.evidence["reward"]) == ("fail", 1.0)


async def test_what_cannot_be_decided_is_an_abstention():
    endless = "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t) SELECT max(n) FROM t"
    assert (await Sql(timeout=0.3).reward(task(), endless)).reason == "timeout"
    assert (await reward("SELECT 1", "SELECT nothing")).reason == "reference_error"
    assert (await Sql().reward(task(reference=None), "SELECT 1")).reason == "no_reference"
    for verdict in (await reward("SELECT 1", "SELECT secret_column"), await reward("SELECT 1")):
        assert "secret" not in verdict.feedback
        assert "Ann" not in str(verdict)


async def test_the_reward_is_a_verifier():
    verifier = make_verifier({"name": "environment_reward", "environment": "sql"})
    assert verifier.oracle
    assert verifier.version == "sql 1"
    assert (await judge(verifier, task(), Candidate.of("SELECT name FROM person"))).outcome == "pass"
    assert (await judge(make_verifier("environment_reward:sql"), task(), Candidate.of(" "))).reason == "empty"


def tau_by_hand(xs, ys):
    """Tau-b by its definition, over all pairs."""
    pairs = list(combinations(range(len(xs)), 2))
    sign = [((xs[i] > xs[j]) - (xs[i] < xs[j]), (ys[i] > ys[j]) - (ys[i] < ys[j])) for i, j in pairs]
    x, y = sum(a != 0 for a, _ in sign), sum(b != 0 for _, b in sign)
    return sum(a * b for a, b in sign) / (x * y) ** 0.5 if x and y else None


def similarity_by_hand(rows, wanted):
    """Common rows struck off one by one."""
    ours, theirs = [str(r) for r in rows], [str(r) for r in wanted]
    left, common = list(theirs), []
    for row in ours:
        if row in left:
            left.remove(row)
            common.append(row)
    other, rest = [], list(common)
    for row in theirs:
        if row in rest:
            rest.remove(row)
            other.append(row)
    union = len(ours) + len(theirs) - len(common)
    return (len(common) / union if union else 1.0), tau_by_hand(common, other)


def test_similarity_is_what_brute_force_finds():
    rng = random.Random(7)
    for _ in range(400):
        rows, wanted = ([(rng.choice("abcde"), rng.randint(0, 1)) for _ in range(rng.randint(0, 12))] for _ in range(2))
        if rng.random() < 0.3:
            wanted = rng.sample(rows, len(rows))
        overlap, order = similarity(rows, wanted)
        expected, tau = similarity_by_hand(rows, wanted)
        assert overlap == pytest.approx(expected)
        assert order == (tau if tau is None else pytest.approx(tau))


def test_tau_where_it_is_not_defined_and_where_there_is_much():
    assert kendall_tau([], []) is None
    assert kendall_tau(["a"], ["a"]) is None
    assert kendall_tau(["a", "a"], ["a", "a"]) is None
    big = [f"{i:05d}" for i in range(10_000)]
    assert kendall_tau(big, big) == 1
    assert kendall_tau(big, big[::-1]) == -1
