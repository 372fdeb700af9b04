"""The documents on tasks and on the command line say what is so."""

import re
from dataclasses import fields
from pathlib import Path

from burnish.cli.commands import load
from burnish.cli.errors import report
from burnish.cli.project import Project, load_project
from burnish.cli.tasks import read_tasks
from burnish.core import errors
from burnish.core.extract import EXTRACTORS
from burnish.core.task import FIELDS
from burnish.verifiers.registry import make_verifier

DOCS = Path(__file__).parent.parent / "docs"
CLI, TASKS = (DOCS / "cli.md").read_text(), (DOCS / "tasks.md").read_text()


def block(text: str, language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", text, re.DOTALL)
    assert found
    return found[1]


def test_the_tasks_that_are_shown_are_tasks(tmp_path):
    (tmp_path / "tasks.jsonl").write_text(block(TASKS, "json"))
    assert [t.id for t in read_tasks(str(tmp_path / "tasks.jsonl"))] == ["sum", "haiku"]


def test_the_table_of_fields_is_complete():
    assert sorted(re.findall(r"^\| `(\w+)` \|", TASKS, re.M)) == sorted(FIELDS)
    assert all(f"`{name}`" in TASKS for name in EXTRACTORS)
    assert make_verifier({"name": "numeric", "expected": 42, "abs_tol": 0.01})


def test_the_project_file_that_is_shown_is_understood_and_complete(tmp_path):
    (tmp_path / "burnish.toml").write_text(block(CLI, "toml"))
    project = load_project(tmp_path)
    assert all(getattr(project, f.name) for f in fields(Project) if f.name != "seed")
    assert project.seed == 0


def test_every_exit_status_is_in_the_table():
    shown = {int(n) for n in re.findall(r"^\| (\d+) \|", CLI, re.M)}
    kinds = [k for k in vars(errors).values() if isinstance(k, type) and issubclass(k, errors.BurnishError)]
    assert {k.exit_code for k in kinds} <= shown


def test_every_variable_that_is_named_belongs_to_a_flag(capsys):
    named = set(re.findall(r"`(BURNISH_[A-Z]+(?:_ARG)?)`", CLI))
    run = load("run")
    known = {p.envvar for p in run.params if isinstance(p.envvar, str)}
    assert named == known
    assert report(errors.ConfigError("no"), as_json=False) == 2
    assert capsys.readouterr().err == "error: no\n"
