"""The comparison of the overhead benchmark is honest only if the bare writer writes the very same rows."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from burnish.bench import bare, langgraph_send, overhead
from burnish.core.errors import ConfigError

WIDE = 24


def rows(path: Path, table: str) -> set[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as db:
        return set(db.execute(f"SELECT * FROM {table}"))


async def test_the_bare_writer_writes_what_the_search_wrote(tmp_path: Path):
    ours, theirs = tmp_path / "ours.db", tmp_path / "theirs.db"
    run_id, seconds = await overhead.search(ours, WIDE, 8)
    assert seconds > 0
    recording = bare.read(ours, run_id)
    assert len(recording.candidates) == WIDE
    await bare.write(theirs, recording, wide=8)
    for table in ("call", "candidate", "verdict", "tell"):
        written = rows(theirs, table)
        assert len(written) == WIDE
        assert written == rows(ours, table), table
    # The run's own answer is stored with the run, not with its candidates; all other texts are theirs.
    assert rows(theirs, "blob") == rows(ours, "blob")
    with closing(sqlite3.connect(theirs)) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)


async def test_a_run_that_is_not_there_is_named(tmp_path: Path):
    await overhead.search(tmp_path / "ours.db", 2, 2)
    with pytest.raises(ConfigError, match="there is no run nowhere"):
        bare.read(tmp_path / "ours.db", "nowhere")


async def test_the_send_graph_checkpoints_every_candidate(tmp_path: Path):
    path = tmp_path / "send.db"
    assert await langgraph_send.run(path, WIDE, 8) > 0
    with closing(sqlite3.connect(path)) as db:
        (tasks,) = db.execute("SELECT count(DISTINCT task_id) FROM writes WHERE channel = 'candidates'").fetchone()
    assert tasks == WIDE
