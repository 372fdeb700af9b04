"""Makes the databases and the tasks of the text-to-SQL example; the same files each time.

    python examples/text_to_sql/build.py [FOLDER]

`bikes.sqlite` is what the questions are about. `hidden.sqlite` has the same tables and other data: only the grader runs
queries on it, so that one which is right by accident is found out. The tasks name both by paths from the repository's root.
"""

import json
import random
import sqlite3
import sys
from contextlib import closing
from datetime import date, timedelta
from pathlib import Path

HERE = Path(__file__).parent
FOLDER = "examples/text_to_sql"
PROMPT = "{}\n\nQuestion: {}\nAnswer with one SQLite query and nothing else."
STATIONS = (
    *("Old Pier", "Fish Market", "Lighthouse", "Town Hall"),
    *("Library", "Main Station", "Mill Pond", "Observatory"),
)
DISTRICTS = ("Harbour", "Harbour", "Harbour", "Centre", "Centre", "Centre", "Hill", "Hill")
MODELS = {"city": ("Swift", "Pebble", "Tern"), "cargo": ("Ox", "Barge"), "electric": ("Volt", "Gale", "Spark")}
PRICES = {"city": (250, 600), "cargo": (1200, 2400), "electric": (1500, 3000)}
FIRST = (
    *("Ada", "Bela", "Cleo", "Dora", "Emil", "Finn", "Gita", "Hugo", "Ines", "Jona"),
    *("Kaja", "Luca", "Mira", "Nils", "Olga", "Paul", "Rosa", "Sven", "Thea", "Udo"),
)
LAST = ("Abel", "Brandt", "Costa", "Dahl", "Engel", "Falk", "Greco", "Holm", "Ivers", "Jansen")
PARTS = {"tyre": (12, 30), "brake": (18, 45), "chain": (15, 40), "battery": (150, 420), "light": (6, 20), "wheel": (40, 95)}


def rows(seed: int) -> dict[str, list[tuple[object, ...]]]:
    """The data, by table."""
    rng = random.Random(seed)
    districts = rng.sample(DISTRICTS, len(DISTRICTS))
    stations = [(i, name, districts[i - 1], rng.randint(8, 30)) for i, name in enumerate(STATIONS, 1)]
    kinds = rng.choices(tuple(MODELS), weights=(6, 2, 4), k=40)
    models = {kind: rng.sample(names, 2) for kind, names in MODELS.items()}
    bikes = [
        (i, rng.choice(models[kind]), kind, day(rng, 2019, 4), rng.randint(*PRICES[kind]) + rng.choice((0.0, 0.5, 0.99)))
        for i, kind in enumerate(kinds, 1)
    ]
    names = rng.sample([f"{first} {last}" for first in FIRST for last in LAST], 36)
    members = [
        (i, name, rng.randint(1950, 2006), day(rng, 2021, 3), rng.choice(("day", "month", "year")), email(rng, name))
        for i, name in enumerate(names, 1)
    ]
    riders, favourites = rng.sample(range(1, 37), 31), [rng.randint(1, 5) for _ in stations]
    rides = [ride(rng, i, riders, favourites) for i in range(1, 321)]
    for i in rng.sample(range(290, 320), rng.randint(3, 6)):
        rides[i] = (*rides[i][:4], None, rides[i][5], None)
    money_pits = rng.sample(range(1, 9), 2)
    repairs = [repair(rng, i, bikes, money_pits) for i in range(1, 71)]
    return {"station": stations, "bike": bikes, "member": members, "ride": rides, "repair": repairs}


def ride(rng: random.Random, number: int, riders: list[int], favourites: list[int]) -> tuple[object, ...]:
    stations = range(1, len(STATIONS) + 1)
    begin, end = rng.choices(stations, weights=favourites)[0], rng.choices(stations, weights=favourites)[0]
    return number, rng.choice(riders), rng.randint(1, 40), begin, end, day(rng, 2023, 2), int(rng.lognormvariate(3, 0.6)) + 3


def repair(rng: random.Random, number: int, bikes: list[tuple[object, ...]], money_pits: list[int]) -> tuple[object, ...]:
    bike = bikes[min(int(rng.expovariate(0.12)), len(bikes) - 1)]
    part = rng.choice([p for p in PARTS if bike[2] == "electric" or p != "battery"])
    low, high = PARTS[part]
    cost = rng.randint(low, high) * (8 if bike[0] in money_pits else 1)
    return number, bike[0], day(rng, 2023, 2), part, float(cost)


def day(rng: random.Random, year: int, years: int) -> str:
    return (date(year, 1, 1) + timedelta(days=rng.randrange(365 * years))).isoformat()


def email(rng: random.Random, name: str) -> str | None:
    return f"{name.lower().replace(' ', '.')}@example.org" if rng.random() < 0.75 else None


def database(path: Path, seed: int) -> None:
    """Build one database; whatever stood there is replaced."""
    path.unlink(missing_ok=True)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executescript((HERE / "schema.sql").read_text())
        for table, data in rows(seed).items():
            connection.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * len(data[0]))})", data)


def tasks() -> list[dict[str, object]]:
    """A task for each question. The verifier runs queries without knowing the reference; the grader knows it."""
    schema = (HERE / "schema.sql").read_text().strip()
    questions = json.loads((HERE / "questions.json").read_text())
    return [
        {
            "id": f"bikes/{number}",
            "prompt": PROMPT.format(schema, question),
            "reference": query,
            "context": {"database": f"{FOLDER}/bikes.sqlite"},
            "verifier": {"name": "sql_execution", "oracle": False, "non_empty": True},
            "grader": {"name": "sql_execution", "hidden": [{"database": f"{FOLDER}/hidden.sqlite"}]},
            "extract": "sql",
            "sampling": {"max_tokens": 200},
        }
        for number, (question, query) in enumerate(questions, 1)
    ]


def build(folder: Path) -> None:
    """Write all files of the example into a folder."""
    database(folder / "bikes.sqlite", 11)
    database(folder / "hidden.sqlite", 13)
    (folder / "tasks.jsonl").write_text("".join(json.dumps(task) + "\n" for task in tasks()))


if __name__ == "__main__":
    build(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE)
