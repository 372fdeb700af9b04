"""The write path's benchmark is honest only if both designs write the same rows; and what a run takes on the disk."""

import sqlite3
from contextlib import closing
from itertools import islice
from pathlib import Path

from burnish import ScriptedEngine, Session
from burnish.bench import bare, write_path
from burnish.engine.replies import Reply
from burnish.traces.audit import audit
from burnish.traces.store import Store

TABLES = ("call", "candidate", "verdict", "tell", "blob")
DOCS = Path(__file__).parents[1] / "docs"


def rows(path: Path, table: str) -> set[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as db:
        return set(db.execute(f"SELECT * FROM {table}"))


async def test_both_designs_write_the_same_rows(tmp_path: Path):
    ours, theirs = tmp_path / "ours.db", tmp_path / "theirs.db"
    run_id, written = await write_path.journal(ours, 24, 8)
    assert audit(f"sqlite:///{ours}") == []
    recording = bare.read(ours, run_id)
    other = await write_path.naive(theirs, recording, 8)
    assert len(written.waits) == len(other.waits) == 24
    assert 0 < written.wait(0.5) <= written.wait(0.99) <= written.seconds
    for table in TABLES:
        assert rows(theirs, table) == rows(ours, table), table
    assert len(rows(ours, "blob")) > 24


def test_each_text_is_another_one():
    texts = list(islice(write_path.texts(), 200))
    assert {len(text) for text in texts} == {write_path.CHARACTERS}
    assert len(set(texts)) == 200


def prose(characters: int, number: int) -> list[str]:
    """Pieces of this project's documentation."""
    text = "".join(path.read_text(encoding="utf-8") for path in sorted(DOCS.glob("*.md")))
    assert len(text) > characters * number, "there is too little of it"
    return [text[at : at + characters] for at in range(0, characters * number, characters)]


async def test_a_candidate_takes_less_than_its_text(tmp_path: Path):
    """All that is recorded of it: 4 kB of English become 2 kB, its rows and their places in the indexes take the rest."""
    url, pieces = f"sqlite:///{tmp_path}/runs.db", iter(prose(4000, 60))
    await (await Store.open(url)).close()
    empty = (tmp_path / "runs.db").stat().st_size
    settings = {"n": 60, "verifier": {"name": "regex", "pattern": "."}, "stop_at_pass": False, "max_tokens": 5000}
    async with Session(ScriptedEngine(lambda _: Reply(next(pieces), tokens=1000)), store=url) as session:
        await session.run("best_of_n", "Write.", settings=settings)
    assert rows(tmp_path / "runs.db", "blob")
    assert len(rows(tmp_path / "runs.db", "candidate")) == len(rows(tmp_path / "runs.db", "verdict")) == 60
    assert empty <= 170_000
    assert ((tmp_path / "runs.db").stat().st_size - empty) / 60 <= 4000
