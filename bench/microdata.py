"""Words and databases of the micro-tasks. Changing any of it changes the items."""

from __future__ import annotations

import random
from collections.abc import Iterable


def _list(words: str) -> list[str]:
    return words.split()


WORDS = _list(
    "apple river stone cloud tiger bread chair music garden pencil window bottle candle forest market island "
    "rabbit silver winter dragon yellow hammer basket monkey orange doctor engine flower guitar jacket kitten "
    "lemon mirror needle ocean planet queen rocket summer ticket uncle violin whale zebra"
)
NAMES = _list("Anna Ben Carla David Emma Frank Grace Henry Irene Jack Karen Liam Maria Noah Olga Peter Rosa Sam Tina Victor")
CITIES = _list("Paris London Tokyo Berlin Madrid Rome Oslo Cairo Lima Boston Dublin Vienna")
JOBS = _list("teacher doctor baker pilot nurse lawyer farmer painter chef engineer")
PETS = _list("cat dog parrot rabbit turtle horse goat snake duck")


def _schema(rows: Iterable[tuple[object, ...]]) -> str:
    lines = ["CREATE TABLE person(id INTEGER, name TEXT, age INTEGER, city TEXT);"]
    for row in rows:
        values = ", ".join("NULL" if v is None else f"'{v}'" if isinstance(v, str) else str(v) for v in row)
        lines.append(f"INSERT INTO person VALUES({values});")
    return "\n".join(lines)


def _visible() -> list[tuple[int, str, int, str]]:
    rng = random.Random(11)
    names = [*NAMES, *(name + "a" for name in NAMES)]
    return [(i + 1, name, rng.randint(18, 80), rng.choice(CITIES)) for i, name in enumerate(names)]


def _hidden() -> list[tuple[object, ...]]:
    """Twice as many people, everybody older or younger and elsewhere, some names twice, and NULLs in every column."""
    rng = random.Random("hidden")
    people = _visible()
    others = [(number, name + "o", age, city) for number, name, age, city in people]
    rows: list[tuple[object, ...]] = []
    for _, name, age, city in [*people, *people[:20:3], *others]:
        age = 18 + (age - 18 + rng.randint(1, 62)) % 63
        rows.append((len(rows) + 1, name, age, CITIES[(CITIES.index(city) + rng.randint(1, 11)) % 12]))
    return [*rows, (100, None, 33, "Paris"), (101, "Zoe", None, "Oslo"), (102, "Yara", 71, None), (None, None, None, None)]


VISIBLE_SCHEMA = _schema(_visible())
"""The database that a task names in its context."""
HIDDEN_SCHEMA = _schema(_hidden())
"""The database that only the grader sees."""
