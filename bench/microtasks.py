"""Six families of seeded tasks that a model of 135 million parameters solves sometimes: enough to see a search at work.

Each task carries its worked examples, a *grader*, which is exact, and a *verifier*, which could be deployed: it sees
no reference and checks less than the grader. The same family, seed and index give the same task on every machine.
"""

from __future__ import annotations

import json
import random
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from ..core.errors import ConfigError
from ..core.ids import Json
from ..core.prompt import Message
from ..core.task import Task
from . import graders
from .microdata import CITIES, JOBS, NAMES, PETS, VISIBLE_SCHEMA, WORDS


@dataclass(frozen=True)
class _Family:
    draw: Callable[[random.Random], Task]
    """Makes one task out of a random generator."""
    rng: str
    """Name that the generator is seeded with, beside seed and index."""
    max_tokens: int
    shots: tuple[tuple[str, str], ...] = ()
    """Worked examples: question and answer."""


def _checks(*checks: dict[str, Json]) -> dict[str, Json]:
    return {"name": "constraints", "checks": list(checks), "judges_truncated": True}


def _grader(function: Callable[..., object]) -> dict[str, Json]:
    ref = f"{graders.__name__}:{function.__name__}"
    return {"name": "python_function", "function": ref, "timeout": None, "judges_truncated": True}


_ONE_SENTENCE: dict[str, Json] = {"sentences": 1}


def three_words(rng: random.Random) -> Task:
    """One short sentence with three given words. The verifier looks for the words only."""
    words: list[Json] = [*rng.sample(WORDS, 3)]
    return Task(
        prompt=f"Write one short sentence with the words {words[0]}, {words[1]} and {words[2]}.",
        reference=words,
        grader=_checks({"contains": words}, _ONE_SENTENCE, {"words": {"max": 15}}),
        verifier=_checks({"contains": words}),
    )


def three_letter_words(rng: random.Random) -> Task:
    """Three words that start with a letter. The verifier does not look for repeats and for phrases."""
    letter = rng.choice("abcdefghlmoprst")
    seen: dict[str, Json] = {"count": 3, "starts_with": letter}
    return Task(
        prompt=f'Give 3 words that start with the letter "{letter}".',
        reference=letter,
        grader=_checks({"items": {**seen, "distinct": True, "matches": "[a-z]+"}}),
        verifier=_checks({"items": seen}),
    )


def six_words(rng: random.Random) -> Task:
    """A sentence of six words with a given one. The verifier only counts words."""
    word = rng.choice(WORDS)
    return Task(
        prompt=f"Write a sentence of exactly 6 words with the word {word}.",
        reference=word,
        grader=_checks({"contains": word}, _ONE_SENTENCE, {"words": 6}),
        verifier=_checks({"words": 6}),
    )


_PERSON_SCHEMA: dict[str, Json] = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "age": {"type": "integer"},
        "city": {"type": "string"},
        "job": {"type": "string"},
    },
    "required": ["name", "age", "city", "job"],
    "additionalProperties": False,
}
_PERSON_TEXTS = (
    "{name} is a {age}-year-old {job} who lives in {city}.",
    "Meet {name}, a {job} from {city}, who turned {age} last week.",
    "In {city}, there is a {job} called {name}. This person is {age} years old.",
    "At {age}, {name} still works as a {job} in {city}.",
)


def json_person(rng: random.Random) -> Task:
    """Four fields out of a sentence, as JSON. The verifier checks keys and types, not values."""
    person: dict[str, Json] = {
        "name": rng.choice(NAMES),
        "age": rng.randint(18, 79),
        "city": rng.choice(CITIES),
        "job": rng.choice(JOBS),
    }
    return Task(
        prompt='Extract the data as JSON with the keys "name" (string), "age" (integer), "city" (string) and "job" (string).\n'
        f"Text: {rng.choice(_PERSON_TEXTS).format(**person)}\nReply with the JSON object only.",
        reference=person,
        extract="json_value",
        grader=_grader(graders.json_person),
        verifier={"name": "json_schema", "schema": _PERSON_SCHEMA, "judges_truncated": True},
    )


_TABLE = "Table person(id, name, age, city)\nQuestion: {}\nSQL:"


def sql_one_table(rng: random.Random) -> Task:
    """A question to one table, as SQL. The verifier wants a query that runs and finds something, right or not."""
    question, query = _question(rng)
    while not _finds(query):
        question, query = _question(rng)
    return Task(
        prompt=_TABLE.format(question),
        reference=query,
        context={"schema": VISIBLE_SCHEMA},
        extract="sql",
        grader=_grader(graders.sql_one_table),
        verifier={"name": "sqlite_query", "oracle": False, "non_empty": True, "judges_truncated": True},
    )


def _question(rng: random.Random) -> tuple[str, str]:
    age, name, city = rng.randint(25, 65), rng.choice(NAMES), rng.choice(CITIES)
    return (
        (f"What is the age of {name}?", f"SELECT age FROM person WHERE name = '{name}'"),
        (f"List the names of people younger than {age}.", f"SELECT name FROM person WHERE age < {age}"),
        (f"Who lives in {city}?", f"SELECT name FROM person WHERE city = '{city}'"),
        (f"How many people are older than {age}?", f"SELECT COUNT(*) FROM person WHERE age > {age}"),
        (f"In which city does {name} live?", f"SELECT city FROM person WHERE name = '{name}'"),
        ("What is the average age?", "SELECT AVG(age) FROM person"),
        (f"What is the highest age in {city}?", f"SELECT MAX(age) FROM person WHERE city = '{city}'"),
        ("How many people are there?", "SELECT COUNT(*) FROM person"),
    )[rng.randint(0, 7)]


def _finds(query: str) -> bool:
    """Whether a query of ours gives a value on the visible database."""
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(VISIBLE_SCHEMA)
        return any(value is not None for row in connection.execute(query) for value in row)


def passage_lookup(rng: random.Random) -> Task:
    """A fact out of four. The verifier wants one of the passage's cities or animals, of whomever."""
    people, cities, _, pets = rng.sample(NAMES, 4), rng.sample(CITIES, 4), rng.sample(JOBS, 4), rng.sample(PETS, 4)
    facts = list(zip(people, cities, pets, strict=True))
    chosen, kind = rng.choice(facts), rng.choice(["city", "pet"])
    passage = " ".join(f"{name} lives in {city} and has a {pet}." for name, city, pet in facts)
    question = f"Which animal does {chosen[0]} have?" if kind == "pet" else f"Where does {chosen[0]} live?"
    options: list[Json] = [*(pets if kind == "pet" else cities)]
    return Task(
        prompt=f"{passage}\n{question}",
        reference=chosen[2] if kind == "pet" else chosen[1],
        context={"passage": passage, "options": options},
        grader=_grader(graders.passage_lookup),
        verifier=_checks({"one_of": options}),
    )


_FACTS = "Lucy lives in Milan and has a hamster. Omar lives in Delhi and has a swan.\n"
_FAMILIES = {
    "three_words": _Family(
        three_words,
        "include3_fs",
        48,
        (
            ("Write one short sentence with the words fox, river and night.", "At night the fox swam across the river."),
            ("Write one short sentence with the words baker, storm and shop.", "The baker closed his shop during the storm."),
        ),
    ),
    "three_letter_words": _Family(
        three_letter_words,
        "list3letter_fs",
        32,
        (
            ('Give 3 words that start with the letter "n".', "night, nose, number"),
            ('Give 3 words that start with the letter "w".', "water, winter, wall"),
        ),
    ),
    "six_words": _Family(
        six_words,
        "exact6_fs",
        32,
        (
            ("Write a sentence of exactly 6 words with the word fox.", "The fox ran into the forest."),
            ("Write a sentence of exactly 6 words with the word baker.", "The baker sold bread every morning."),
        ),
    ),
    "json_person": _Family(json_person, "json4", 64),
    "sql_one_table": _Family(
        sql_one_table,
        "sql1",
        48,
        (
            (_TABLE.format("How old is Zoe?"), "SELECT age FROM person WHERE name = 'Zoe';"),
            (_TABLE.format("How many people live in Athens?"), "SELECT COUNT(*) FROM person WHERE city = 'Athens';"),
            (_TABLE.format("List the names of people older than 70."), "SELECT name FROM person WHERE age > 70;"),
        ),
    ),
    "passage_lookup": _Family(
        passage_lookup,
        "kvqa1b",
        24,
        (
            (_FACTS + "Which animal does Omar have?", "Omar has a swan."),
            (_FACTS + "Where does Lucy live?", "Lucy lives in Milan."),
        ),
    ),
}
FAMILIES = tuple(_FAMILIES)
"""Names of the six families."""


def tasks(family: str, seed: int, count: int) -> list[Task]:
    """The first `count` tasks of a family under a seed.

    Raises:
        ConfigError: no family has this name.
    """
    if family not in _FAMILIES:
        raise ConfigError(f"no family is called {family!r}", hint=f"one of: {', '.join(FAMILIES)}")
    chosen = _FAMILIES[family]
    shots = tuple(m for q, a in chosen.shots for m in (Message("user", q), Message("assistant", a)))
    return [
        replace(
            chosen.draw(random.Random(f"{chosen.rng}:{seed}:{i}")),
            id=f"{family}-{seed}-{i}",
            messages=shots,
            sampling={"max_tokens": chosen.max_tokens, "temperature": 0.7},
            metadata={"family": family, "seed": seed, "index": i},
        )
        for i in range(count)
    ]


def all_tasks(seed: int, count: int) -> list[Task]:
    """The first `count` tasks of each family."""
    return [task for family in FAMILIES for task in tasks(family, seed, count)]


def write_tasks(path: str | Path, seed: int, count: int) -> None:
    """Write `count` tasks of each family into a JSON Lines file."""
    with open(path, "w", encoding="utf-8") as f:
        f.writelines(json.dumps(task.to_json(), ensure_ascii=False) + "\n" for task in all_tasks(seed, count))
