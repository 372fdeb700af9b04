"""The text-to-SQL example: its databases, its questions, and the page that shows how to run it."""

import importlib.util
import json
import re
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from burnish import Task, make_verifier
from burnish.core.candidate import Candidate
from burnish.core.verify import judge
from burnish.verifiers import check_task
from tests.helpers import rows
from tests.test_docs import ROOT, burnish

FOLDER = ROOT / "examples" / "text_to_sql"
PAGE = (ROOT / "docs" / "text-to-sql.md").read_text()
QUESTIONS = json.loads((FOLDER / "questions.json").read_text())
FEW = 5
TASKS = [Task.from_json(json.loads(line)) for line in (FOLDER / "tasks.jsonl").read_text().splitlines()]


@pytest.fixture
def at_root(monkeypatch):
    monkeypatch.chdir(ROOT)


def results(database: str) -> list[list]:
    with closing(sqlite3.connect(FOLDER / database)) as connection:
        return [connection.execute(query).fetchall() for _, query in QUESTIONS]


def dump(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as connection:
        return list(connection.iterdump())


def test_every_reference_finds_something_of_its_own():
    visible, hidden = results("bikes.sqlite"), results("hidden.sqlite")
    assert 20 <= len(QUESTIONS) <= 30
    for (question, _), seen, unseen in zip(QUESTIONS, visible, hidden, strict=True):
        assert any(value not in (None, 0) for row in seen for value in row), question
        assert unseen, question
        assert sorted(map(str, seen)) != sorted(map(str, unseen)), f"right by heart: {question}"
    assert len({str(found) for found in visible}) == len(QUESTIONS)


def test_the_files_are_what_the_script_builds(tmp_path):
    spec = importlib.util.spec_from_file_location("build", FOLDER / "build.py")
    build = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(build)
    build.build(tmp_path)
    for name in ("bikes.sqlite", "hidden.sqlite"):
        assert dump(tmp_path / name) == dump(FOLDER / name)
    assert (tmp_path / "tasks.jsonl").read_text() == (FOLDER / "tasks.jsonl").read_text()


@pytest.mark.usefixtures("at_root")
async def test_references_pass_and_nothing_that_is_said_holds_them():
    for task in TASKS:
        verifier, grader = make_verifier(task.verifier), make_verifier(task.grader)
        check_task(verifier, task)
        check_task(grader, task)
        assert not verifier.oracle
        right = Candidate.of(f"```sql\n{task.reference};\n```")
        assert (await judge(verifier, task, right)).outcome == "pass"
        assert (await judge(grader, task, right)).outcome == "pass"
        for wrong in ("SELECT nothing FROM bike", "SELECT 1", "SELECT name FROM station WHERE id = 0"):
            for by in (verifier, grader):
                assert task.reference.lower() not in (await judge(by, task, Candidate.of(wrong))).feedback.lower()
            assert (await judge(grader, task, Candidate.of(wrong))).outcome == "fail"


@pytest.mark.usefixtures("at_root")
async def test_what_is_right_by_accident_is_found_out():
    task = next(t for t in TASKS if "district Harbour" in t.prompt)
    with closing(sqlite3.connect(FOLDER / "bikes.sqlite")) as connection:
        names = [name for (name,) in connection.execute(task.reference)]
    by_heart = Candidate.of("SELECT name FROM station WHERE name IN ({})".format(", ".join(f"'{n}'" for n in names)))
    assert (await judge(make_verifier("sql_execution"), task, by_heart)).outcome == "pass"
    assert (await judge(make_verifier(task.grader), task, by_heart)).outcome == "fail"


@pytest.mark.usefixtures("at_root")
async def test_the_query_that_the_page_shows_answers_one_question():
    shown = Candidate.of("SELECT count(*) FROM member WHERE email IS NULL")
    right = [t.id for t in TASKS if (await judge(make_verifier(t.grader), t, shown)).outcome == "pass"]
    assert right == ["bikes/4"]
    assert f"All {len(TASKS)} runs end as `verified`, and one of them is right (`{right[0]}`" in PAGE


def test_the_page_runs(tmp_path):
    here = shutil.copytree(FOLDER, tmp_path / "examples" / "text_to_sql")
    few = (FOLDER / "tasks.jsonl").read_text().splitlines(keepends=True)[:FEW]
    (here / "tasks.jsonl").write_text("".join(few))
    blocks = {m[1]: m[2] for m in re.finditer(r"```python\n# (\w+\.py)\n(.*?)```", PAGE, re.S)}
    for name, code in blocks.items():
        (tmp_path / name).write_text(code)
    commands = [c.replace("\\\n", " ") for c in re.findall(r"```sh\n(burnish .*?)\n```", PAGE, re.S)]
    scripted = [c for c in commands if "scripted" in c]
    iad, episode = (burnish(command, tmp_path) for command in scripted)
    assert iad.returncode == 0, iad.stderr
    assert episode.returncode == 0, episode.stderr
    for out in (iad, episode):
        grades = {line.split()[0]: line.split()[4] for line in out.stdout.splitlines()[1:]}
        assert len(grades) == FEW
        assert [name for name, grade in grades.items() if grade == "pass"] == ["bikes/4"]
        assert all(line.split()[2] == "verified" for line in out.stdout.splitlines()[1:])
    (tmp_path / "burnish.db").rename(tmp_path / "runs.db")
    assert rows(tmp_path, "SELECT DISTINCT kind FROM candidate ORDER BY 1") == [("fresh",), ("refine",)]
    said = rows(tmp_path, "SELECT DISTINCT reason, feedback FROM verdict WHERE verifier = 'sql_execution' AND outcome = 'fail'")
    (shown,) = re.findall(r"^    (SQL error: .*)$", PAGE, re.M)
    assert ("sql_error", shown) in said
