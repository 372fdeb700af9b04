"""The table of task sets, where data is looked for, and how a subset is drawn."""

from __future__ import annotations

import gzip
import json
import sys
from pathlib import Path

import pytest

from burnish.bench.sets.registry import SETS, TaskSet, data_folder, load_tasks, task_set
from burnish.bench.sets.rows import json_lines, json_list, table_rows
from burnish.core.errors import ConfigError
from burnish.core.task import Task

PUZZLES = ["1 1 4 6", "1 1 11 11", "1 1 3 8", "1 1 1 8", "6 6 6 6", "1 1 2 12", "1 2 2 6", "4 4 6 8"]


@pytest.fixture(autouse=True)
def no_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BURNISH_DATA", raising=False)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder with the puzzles in the set's own folder."""
    lines = ["Rank,Puzzles,AMT (s),Solved rate,1-sigma Mean (s),1-sigma STD (s)"]
    lines += [f"{rank},{puzzle},4.4,99.20%,4.67,1.48" for rank, puzzle in enumerate(PUZZLES, start=1)]
    (tmp_path / "game24").mkdir()
    (tmp_path / "game24" / "24.csv").write_text("\n".join(lines) + "\n")
    return tmp_path


@pytest.mark.parametrize("name", SETS)
def test_every_set_of_the_table_is_there_and_complete(name: str) -> None:
    found = task_set(name)
    assert isinstance(found, TaskSet)
    assert found.name == name
    assert all((found.about, found.source, found.licence))
    assert "\n" not in found.about
    assert found.files or not found.needs_data


def test_an_unknown_set_names_those_that_there_are() -> None:
    with pytest.raises(ConfigError, match=r"no task set is called 'gsm9k'.*micro.*gsm8k"):
        load_tasks("gsm9k")


def test_the_table_loads_nothing_before_it_is_asked(tmp_path: Path) -> None:
    import subprocess

    code = "import sys, burnish.bench.sets.registry; print([m for m in sys.modules if m.startswith('burnish.bench.sets.')])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path).stdout
    assert out.strip() == "['burnish.bench.sets.registry']"


def test_the_folder_may_be_the_sets_own_or_its_parent(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tasks = load_tasks("game24", data)
    assert len(tasks) == len(PUZZLES)
    assert load_tasks("game24", data / "game24") == tasks
    monkeypatch.setenv("BURNISH_DATA", str(data))
    assert load_tasks("game24") == tasks


def test_the_folder_may_be_relative_and_becomes_absolute(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(data.parent)
    assert data_folder(task_set("game24"), Path(data.name)) == data / "game24"


def test_missing_data_says_what_is_looked_for_and_where_to_say_it(tmp_path: Path) -> None:
    for folder in (None, tmp_path, tmp_path / "nowhere"):
        with pytest.raises(ConfigError, match=r"game24 reads 24\.csv.*--data FOLDER.*BURNISH_DATA"):
            load_tasks("game24", folder)
    with pytest.raises(ConfigError, match=r"\(27 files\)"):
        load_tasks("bbh", tmp_path)


def test_a_set_without_data_needs_no_folder() -> None:
    assert len(load_tasks("micro")) == task_set("micro").size


def test_subsets_are_nested_and_the_same_everywhere(data: Path) -> None:
    ids = [task.id for task in load_tasks("game24", data)]
    assert ids == [f"game24/{rank}" for rank in (1, 4, 3, 7, 8, 6, 2, 5)]
    for limit in range(1, 9):
        assert [task.id for task in load_tasks("game24", data, limit=limit)] == ids[:limit]
    assert [task.id for task in load_tasks("game24", data, limit=3, start=4)] == ids[4:7]
    assert [task.id for task in load_tasks("game24", data, start=6)] == ids[6:]
    assert len(load_tasks("game24", data, limit=1000)) == 8


def test_another_seed_draws_another_subset(data: Path) -> None:
    orders = {tuple(task.id for task in load_tasks("game24", data, seed=seed)) for seed in range(5)}
    assert len(orders) == 5
    assert len({frozenset(order) for order in orders}) == 1


@pytest.mark.parametrize(("limit", "start"), [(0, 0), (-1, 0), (5, -1), (None, 8), (1, 100)])
def test_a_subset_without_tasks_is_refused(data: Path, limit: int | None, start: int) -> None:
    with pytest.raises(ConfigError):
        load_tasks("game24", data, limit=limit, start=start)


def test_every_task_survives_a_tasks_file(data: Path) -> None:
    for task in (*load_tasks("game24", data), *load_tasks("micro", limit=20)):
        assert Task.from_json(json.loads(json.dumps(task.to_json()))) == task


@pytest.mark.parametrize("line", ["{", "[1]", '"text"', "\0", "NaN x", "[" * 10_000])
def test_a_malformed_line_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "some.jsonl"
    path.write_text('{"a": 1}\n\n' + line + "\n")
    with pytest.raises(ConfigError, match=r"some\.jsonl:3"):
        json_lines(path)


def test_line_separators_inside_a_text_are_no_lines(tmp_path: Path) -> None:
    path = tmp_path / "some.jsonl"
    path.write_text('{"a": "one\u2028two"}\r\n{"a": "three"}', encoding="utf-8")
    assert [(row.where, row.text("a")) for row in json_lines(path)] == [
        ("some.jsonl:1", "one\u2028two"),
        ("some.jsonl:2", "three"),
    ]


DAMAGED = [b"no gzip", gzip.compress(b'{"a": 1}' * 1000, mtime=0)[:40], gzip.compress(b"\xff\xfe", mtime=0)]


@pytest.mark.parametrize("content", DAMAGED)
def test_a_damaged_file_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "some.jsonl.gz"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"some\.jsonl\.gz cannot be read"):
        json_lines(path)


def test_a_list_under_a_member(tmp_path: Path) -> None:
    path = tmp_path / "some.json"
    path.write_text('{"examples": [{"a": "x"}, {"a": 3}]}')
    rows = json_list(path, "examples")
    assert rows[0].text("a") == "x"
    with pytest.raises(ConfigError, match=r"some\.json, entry 1: the field 'a' is missing or no text"):
        rows[1].text("a")
    with pytest.raises(ConfigError, match="no list"):
        json_list(path)
    with pytest.raises(ConfigError, match="no list under 'other'"):
        json_list(path, "other")


@pytest.mark.parametrize(
    ("content", "where"), [("a,b\n1,2\n", "some.csv:1: no column c"), ("", "some.csv:1"), ('c\n"x', "some.csv")]
)
def test_a_malformed_table_is_named(tmp_path: Path, content: str, where: str) -> None:
    path = tmp_path / "some.csv"
    path.write_text(content)
    with pytest.raises(ConfigError, match=where):
        table_rows(path, ["c"])
