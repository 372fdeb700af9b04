"""How far a failed answer is right: what a repair goes on from."""

import pytest

from burnish import Candidate, Task, make_verifier

SHOP = "CREATE TABLE item (name, price, FROMAGE); INSERT INTO item VALUES ('tea', 3, 1), ('pot', 9, 0)"


async def verdict_on(spec, text):
    return await make_verifier(spec).verify(Task(prompt="?"), Candidate.of(text))


@pytest.mark.parametrize(
    ("query", "right"),
    [
        ("SELECT cost FROM item", "SELECT"),
        ("SELECT name FROM items WHERE price > 3", "SELECT name FROM"),
        ("SELECT name FROM item WHERE 'cost' = 'a' AND cost > 3", "SELECT name FROM item WHERE 'cost' = 'a' AND"),
        ("SELECT i.name, i.cost FROM item i", "SELECT i.name,"),
        ("SELECT TOTALS(price) FROM item", "SELECT"),
        ("SELECT name FROM item WHERE WHERE price > 3", "SELECT name FROM item WHERE"),
        ("SELECT FROMAGE FROM item, FROM item", "SELECT FROMAGE FROM item,"),
        ("SELECT name FROM item WHERE price > (SELECT 1", "SELECT name FROM item WHERE price > (SELECT 1"),
        ("SELECT a.name FROM item a, item b WHERE price > 3", "SELECT a.name FROM item a, item b WHERE"),
    ],
)
async def test_a_query_is_right_up_to_what_sqlite_names(query, right):
    verdict = await verdict_on({"name": "sqlite_query", "schema": SHOP, "oracle": False}, query)
    assert (verdict.outcome, verdict.reason) == ("fail", "sql_error")
    assert verdict.valid_prefix is not None
    assert query[: verdict.valid_prefix] == right


async def test_the_text_before_the_query_counts():
    text = "Here it is:\n```sql\nSELECT name FROM items\n```"
    verdict = await verdict_on({"name": "sqlite_query", "schema": SHOP, "oracle": False}, text)
    assert text[: verdict.valid_prefix] == "Here it is:\n```sql\nSELECT name FROM"


async def test_of_a_query_that_runs_nobody_can_tell():
    task = Task(prompt="?", reference="SELECT name FROM item WHERE price = 9")
    verdict = await make_verifier({"name": "sqlite_query", "schema": SHOP}).verify(task, Candidate.of("SELECT name FROM item"))
    assert (verdict.reason, verdict.valid_prefix) == ("mismatch", None)
    forbidden = await verdict_on({"name": "sqlite_query", "schema": SHOP, "oracle": False}, "SELECT load_extension('x')")
    assert (forbidden.outcome, forbidden.valid_prefix) == ("fail", None)


@pytest.mark.parametrize(
    ("check", "text", "right"),
    [
        ({"excludes": "fox"}, "  The quick fox runs.", "  The quick"),
        ({"excludes": ["dog", "fox"]}, "A fox and a Dog", "A"),
        ({"one_of": ["tea", "milk"]}, "Take milk with tea.", "Take milk with"),
        ({"starts_with": "Dear"}, "Hello there", ""),
        ({"items": {"starts_with": "a"}}, "apple, arm, Bee, ant", "apple, arm,"),
        ({"items": {"distinct": True, "separator": "\n"}}, "- apple\n- bee\n- Apple.\n- cow", "- apple\n- bee\n"),
        ({"items": {"matches": "[0-9]+", "separator": ";"}}, "1;22;x;4", "1;22;"),
    ],
)
async def test_a_text_is_right_up_to_what_breaks_a_check(check, text, right):
    verdict = await verdict_on({"name": "constraints", "checks": [check]}, text)
    assert verdict.outcome == "fail"
    assert verdict.valid_prefix is not None
    assert text[: verdict.valid_prefix] == right


@pytest.mark.parametrize("check", [{"contains": "fox"}, {"words": {"max": 2}}, {"ends_with": "!"}, {"one_of": ["x", "y"]}])
async def test_of_a_check_that_more_text_may_mend_nobody_can_tell(check):
    verdict = await verdict_on({"name": "constraints", "checks": [check]}, "a b c")
    assert (verdict.outcome, verdict.valid_prefix) == ("fail", None)


async def test_the_first_thing_that_is_wrong_decides():
    checks = [{"excludes": "cow"}, {"contains": "owl"}, {"excludes": "bee"}]
    text = "one bee, one cow"
    verdict = await verdict_on({"name": "constraints", "checks": checks}, text)
    assert text[: verdict.valid_prefix] == "one"
