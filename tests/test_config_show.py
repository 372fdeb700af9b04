"""`burnish config show`: every value with the first origin that has it; the files that it reads."""

import pytest

from burnish.cli.project import load_project, user_file
from burnish.graphs.registry import BUILTIN
from tests.cli_kit import burnish as burnish

USER = """
engine = "scripted"
concurrency = 3
[budget]
calls = 3
[engines.scripted]
accuracy = 0.5
[engines.server]
api_key = "hush"
[graphs.majority]
n = 3
max_tokens = 7
"""
PROJECT = """
concurrency = 4
[budget]
tokens = 900
[engines.scripted]
accuracy = 0.6
[graphs.majority]
n = 4
"""


@pytest.fixture
def files(burnish, tmp_path, monkeypatch):
    """A project's file in the current folder, a user's in the configuration folder."""
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    user_file().parent.mkdir(parents=True)
    user_file().write_text(USER)
    (tmp_path / "burnish.toml").write_text(PROJECT)
    return burnish


def _defaults(graph):
    return {f"graphs.{graph}.{name}": (s.default, "default") for name, s in BUILTIN[graph].settings.model_fields.items()}


def shown(done):
    assert done.status == 0, done.err
    return {v["name"]: (v["value"], v["origin"]) for v in done.data["values"]}


def test_each_value_has_the_first_origin_that_has_it(files, tmp_path, monkeypatch):
    monkeypatch.setenv("BURNISH_CONCURRENCY", "5")
    monkeypatch.setenv("BURNISH_SEED", "9")
    monkeypatch.setenv("BURNISH_SET", "n=5 temperature=0.1")
    done = files("config", "show", "majority", "--json", "--concurrency", "6", "--engine-arg", "failures=0.1", "--model", "m")
    assert shown(done) == {
        **_defaults("majority"),
        "engine": ("scripted", "user"),
        "store": ("sqlite:///burnish.db", "default"),
        "verifier": (None, "default"),
        "concurrency": (6, "flag"),
        "seed": (9, "environment"),
        "engines.scripted.accuracy": (0.6, "project"),
        "engines.server.api_key": ("[redacted]", "user"),
        "engines.scripted.failures": (0.1, "flag"),
        "engines.scripted.model": ("m", "flag"),
        "budget.tokens": (900, "project"),
        "graphs.majority.max_tokens": (7, "user"),
        "graphs.majority.n": (5, "environment"),
        "graphs.majority.temperature": (0.1, "environment"),
    }
    where = {v["name"]: v["where"] for v in done.data["values"]}
    assert (where["concurrency"], where["seed"], where["budget.tokens"]) == (
        "--concurrency",
        "BURNISH_SEED",
        str(tmp_path / "burnish.toml"),
    )
    assert done.data["files"] == [str(tmp_path / "burnish.toml"), str(user_file())]


def test_runs_go_by_what_is_shown(files, tmp_path):
    (tmp_path / "tasks.jsonl").write_text('{"prompt": "What is 1 + 1?"}\n')
    assert files("run", "majority", "--tasks", "tasks.jsonl").status in (0, 3)
    run = files("runs", "list", "--json").data[0]["id"]
    data = files("runs", "show", run, "--json").data
    assert (data["settings"], data["budget"]) == ({"max_tokens": 7, "n": 4}, {"tokens": 900})


def test_a_project_is_its_file_over_the_users(files, tmp_path):
    project = load_project(tmp_path)
    assert (project.engine, project.concurrency, project.budget) == ("scripted", 4, {"tokens": 900})
    assert project.graphs["majority"] == {"n": 4, "max_tokens": 7}
    assert project.engines["scripted"] == {"accuracy": 0.6}


def test_a_user_file_that_is_wrong_is_named(files):
    user_file().write_text("engin = 1")
    done = files("config", "show")
    assert (done.status, str(user_file()) in done.err, "did you mean engine?" in done.err) == (2, True, True)


def test_a_file_of_ones_own_counts_from_the_file_that_names_it(files, tmp_path):
    place = user_file().parent
    user_file().write_text('[graphs.episode]\nenv = "guess.py:Guess"\n[graphs.x]\ng = "gone.py:Gone"\nv = ["python:guess.py:f"]')
    (place / "guess.py").touch()
    graphs = load_project(tmp_path).graphs
    assert graphs["episode"]["env"] == f"{place}/guess.py:Guess"
    assert graphs["x"] == {"g": "gone.py:Gone", "v": [f"python:{place}/guess.py:f"]}


def test_without_files_the_table_says_where_one_would_be(burnish, monkeypatch):
    monkeypatch.setenv("BURNISH_STORE", "postgresql://eva:hush@host/db")
    done = burnish("config")
    assert "postgresql://[redacted]@host/db" in done.out
    assert "hush" not in done.out
    assert str(user_file()) in done.err


@pytest.mark.parametrize(
    ("platform", "variable", "ends"),
    [
        ("linux", "XDG_CONFIG_HOME", "here/burnish/burnish.toml"),
        ("win32", "APPDATA", "here/burnish/burnish.toml"),
        ("darwin", "HOME", "here/Library/Application Support/burnish/burnish.toml"),
    ],
)
def test_the_configuration_folder_is_the_platforms(monkeypatch, platform, variable, ends):
    monkeypatch.setattr("sys.platform", platform)
    monkeypatch.setenv(variable, "/here")
    assert user_file().as_posix().endswith(ends)
