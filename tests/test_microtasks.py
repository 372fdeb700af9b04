"""The micro-tasks: the items of the measured figures, graded as they were."""

import hashlib
import json
import re
import sqlite3

import pytest

from burnish.bench.microdata import HIDDEN_SCHEMA, VISIBLE_SCHEMA
from burnish.bench.microtasks import FAMILIES, tasks, write_tasks
from burnish.core.candidate import Candidate
from burnish.core.errors import ConfigError
from burnish.core.task import Task
from burnish.core.verify import judge
from burnish.verifiers import check_task, make_verifier

DIGESTS = {
    "three_words": "92b6503b1c6290c4",
    "three_letter_words": "c22f2080292ec846",
    "six_words": "4a21821953e6edb4",
    "json_person": "52d45e59b4b29ffd",
    "sql_one_table": "3f434b85d469cf05",
    "passage_lookup": "55f4262b18dab80f",
}
"""Of the 72 items of seeds 0 to 2 that the published figures rest on."""


@pytest.mark.parametrize("family", FAMILIES)
def test_the_items_are_those_that_were_measured(family):
    items = [[[m.to_json() for m in t.chat().messages or ()], t.reference] for seed in range(3) for t in tasks(family, seed, 24)]
    assert hashlib.sha256(json.dumps(items, sort_keys=True).encode()).hexdigest()[:16] == DIGESTS[family]


@pytest.mark.parametrize("family", FAMILIES)
def test_tasks_survive_json_and_can_be_judged(family):
    for task in tasks(family, 5, 12):
        assert Task.from_json(json.loads(json.dumps(task.to_json()))) == task
        for spec in (task.grader, task.verifier):
            verifier = make_verifier(spec)
            assert verifier.judges_truncated
            check_task(verifier, task)
        assert make_verifier(task.verifier).oracle is False
        assert task.grader != task.verifier
        assert task.sampling["temperature"] == 0.7


def test_more_tasks_begin_with_the_fewer():
    for family in FAMILIES:
        assert tasks(family, 3, 6)[:2] == tasks(family, 3, 2)
        assert tasks(family, 3, 2) != tasks(family, 4, 2)
    with pytest.raises(ConfigError, match="one of: three_words"):
        tasks("four_words", 0, 1)


def test_written_tasks_can_be_read(tmp_path):
    file = tmp_path / "tasks.jsonl"
    write_tasks(file, 7, 3)
    read = [Task.from_json(json.loads(line)) for line in file.read_text().splitlines()]
    assert read == [task for family in FAMILIES for task in tasks(family, 7, 3)]
    assert len({task.id for task in read}) == 18


def test_the_hidden_database_differs():
    visible, hidden = sqlite3.connect(":memory:"), sqlite3.connect(":memory:")
    visible.executescript(VISIBLE_SCHEMA)
    hidden.executescript(HIDDEN_SCHEMA)
    for column in ("id", "name", "age", "city"):
        assert visible.execute(f"SELECT COUNT(*) FROM person WHERE {column} IS NULL").fetchone() == (0,)
        assert hidden.execute(f"SELECT COUNT(*) FROM person WHERE {column} IS NULL").fetchone() > (0,)
    for query in {str(t.reference) for seed in range(8) for t in tasks("sql_one_table", seed, 24)}:
        rows = visible.execute(query).fetchall()
        assert any(value is not None for row in rows for value in row)
        assert rows != hidden.execute(query).fetchall()
    visible.close()
    hidden.close()


def _satisfied(text, *checks):
    found = [bool(check(text.strip())) for check in checks]
    return sum(found) / len(found)


def _has(word):
    return lambda text: re.search(rf"\b{word}\b", text.lower())


def _one(text):
    return len([x for x in re.split(r"(?<=[.!?])\s+", text.strip()) if x]) == 1


def _count(text):
    return len(re.findall(r"[A-Za-z0-9'’-]+", text))


def score_three_words(task, text):
    return _satisfied(text, *map(_has, task.reference), _one, lambda t: _count(t) <= 15)


def score_three_letter_words(task, text):
    def items(t):
        return [x.strip().strip(".").lower() for x in t.strip().split("\n")[0].split(",")]

    return _satisfied(
        text,
        lambda t: len(items(t)) == 3,
        lambda t: len(set(items(t))) == len(items(t)),
        lambda t: all(x.startswith(task.reference) for x in items(t)),
        lambda t: all(re.fullmatch(r"[a-z]+", x) for x in items(t)),
    )


def score_six_words(task, text):
    return _satisfied(text, _has(task.reference), _one, lambda t: _count(t) == 6)


def score_json_person(task, text):
    match = re.search(r"\{.*?\}", text, re.DOTALL)
    if not match:
        return 0
    try:
        found = json.loads(match.group(0))
    except ValueError:
        return 0.05
    right = 0
    for key, value in task.reference.items():
        if key in found and type(found[key]) is type(value):
            right += found[key].strip().lower() == value.lower() if isinstance(value, str) else found[key] == value
    return min(0.9, right / 4) if set(found) - set(task.reference) else right / 4


def score_sql_one_table(task, text):
    match = re.search(r"(SELECT\b.*?)(;|\n\n|```|$)", text.strip(), re.DOTALL | re.IGNORECASE)
    if not match:
        return 0
    for schema in (VISIBLE_SCHEMA, HIDDEN_SCHEMA):
        database = sqlite3.connect(":memory:")
        database.executescript(schema)
        wanted = database.execute(task.reference).fetchall()
        try:
            got = database.execute(match.group(1)).fetchall()
        except sqlite3.Error:
            return 0.1
        finally:
            database.close()
        if sorted(got, key=repr) != sorted(wanted, key=repr):
            return 0.4 if len(got) == len(wanted) else 0.3
    return 1


def score_passage_lookup(task, text):
    hit = _has(task.reference.lower())(text)
    others = [word for word in task.context["options"] if word != task.reference and _has(word.lower())(text.lower())]
    return 1 if hit and not others else 0.3 if hit else 0


def answers_three_words(task):
    words = " ".join(task.reference)
    yield from (
        f"The {words}.",
        words,
        f"The {task.reference[0]}s ran.",
        f"{words}. And more",
        f"{words} {'so ' * 13}",
        "Hi! " * 9,
        "?",
    )


def answers_three_letter_words(task):
    x = task.reference
    yield from (
        f"{x}a, {x}b, {x}c",
        f"{x.upper()}a, {x}b, {x}c.",
        f"{x}a, {x}a, {x}b",
        f"{x}a b, {x}b, {x}c",
        f"1. {x}a\n2. {x}b",
    )
    yield from (f"{x}a, {x}b, {x}c\nand more", f"{x}a,{x}b,{x}c,{x}d", "zoo", f"{x}a, {x}b, ")


def answers_six_words(task):
    x = task.reference
    yield from (
        f"The {x} ran into the forest.",
        f"{x}s ran into the dark forest.",
        f"The {x}. It ran away fast.",
        "One two.",
        f"{x} can't",
    )


def answers_json_person(task):
    right = dict(task.reference)
    for value in (
        right,
        {**right, "age": str(right["age"])},
        {**right, "x": 1},
        {**right, "city": "Bonn"},
        {"age": True},
        {"who": right},
    ):
        yield json.dumps(value)
    yield from (f"Sure:\n```json\n{json.dumps(right).upper()}\n```", "{'name': 1}", "none", '{"name": "A", "age"')


def answers_sql_one_table(task):
    yield from (
        task.reference,
        task.reference + ";\nSELECT 2",
        f"```sql\n{task.reference.lower().replace('person', 'Person')}\n```",
    )
    yield from (
        "SELECT COUNT(*) FROM person WHERE name > 20",
        "SELECT nope FROM person",
        "hm",
        "SELECT * FROM person",
        "SELECT COUNT(*) FROM person",
    )
    yield from (
        "SELECT AVG(age) FROM person",
        "SELECT SUM(age) / 40.0 FROM person",
        "select name from person\n\nwhere",
        "SELECT name FROM person LIMIT 1",
    )


def answers_passage_lookup(task):
    first, second, *_ = task.context["options"]
    right = task.reference
    yield from (
        right,
        f"It is {right.upper()}.",
        first,
        second,
        f"{first} and {right}",
        f"{right}s",
        " ".join(task.context["options"]),
        "no",
    )


@pytest.mark.parametrize("family", FAMILIES)
async def test_graders_score_as_it_was_measured(family):
    score, answers = globals()[f"score_{family}"], globals()[f"answers_{family}"]
    seen = set()
    for task in tasks(family, 1, 8):
        grader = make_verifier(task.grader)
        for text in answers(task):
            wanted, found = score(task, text), await judge(grader, task, Candidate.of(text))
            assert found.score == pytest.approx(wanted), (task.id, text, found)
            assert (found.outcome == "pass") == (wanted == 1)
            seen.add(wanted)
    assert {1} < seen
    assert len(seen) >= 3


@pytest.mark.parametrize("family", FAMILIES)
async def test_verifiers_pass_what_is_right_and_some_of_what_is_wrong(family):
    fooled = 0
    for task in tasks(family, 1, 8):
        grader, verifier = make_verifier(task.grader), make_verifier(task.verifier)
        for text in globals()[f"answers_{family}"](task):
            graded, judged = [await judge(v, task, Candidate.of(text)) for v in (grader, verifier)]
            assert judged.outcome != "abstain"
            if graded.outcome == "pass":
                assert judged.outcome == "pass", text
            fooled += graded.outcome == "fail" and judged.outcome == "pass"
    assert fooled
