"""What comes in: flags, environment, the project's file, tasks; and what is said of what is wrong with them."""

import io
import json
from pathlib import Path

import pytest

from burnish import ConfigError
from burnish.cli.errors import wants_json
from burnish.cli.project import load_project
from burnish.cli.tasks import read_tasks
from burnish.cli.values import pairs, value_of, verifier_of
from tests.cli_kit import burnish as burnish

SCRIPTED = ("--engine", "scripted", "--engine-arg", "accuracy=1")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3", 3),
        ("0.5", 0.5),
        ("true", True),
        ("null", None),
        ("[1]", [1]),
        ("a=b", "a=b"),
        ("", ""),
        ("NaN", "NaN"),
        ("[" * 9999,) * 2,
    ],
)
def test_values_are_json_where_they_parse(text, value):
    assert value_of(text) == value


def test_pairs_keep_what_follows_the_first_sign_and_the_last_of_a_key():
    assert pairs(["a=1", "b=x=y", "a=2"], "--set") == {"a": 2, "b": "x=y"}


@pytest.mark.parametrize("text", ["a", "=1", " =1"])
def test_a_setting_without_key_is_refused(text):
    with pytest.raises(ConfigError, match="--set"):
        pairs([text], "--set")


def test_paths_of_verifiers_are_made_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert verifier_of("check.py:f") == f"{tmp_path}/check.py:f"
    assert verifier_of("python:check.py:f") == f"python:{tmp_path}/check.py:f"
    assert verifier_of("regex:a:b") == "regex:a:b"
    assert verifier_of('{"name": "exact"}') == {"name": "exact"}
    with pytest.raises(ConfigError, match="no JSON"):
        verifier_of("{name")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b"{", "tasks.jsonl:3: no JSON"),
        (b"[1]", "tasks.jsonl:3: a list is no task"),
        (b'{"id": "x"}', "tasks.jsonl:3: the field 'prompt'"),
        (b'{"prompt": "x", "promt": "y"}', "tasks.jsonl:3: unknown field 'promt'"),
        (b'{"prompt": "\xff"}', "tasks.jsonl:3: no UTF-8 at byte 13"),
        (b'{"prompt": "x", "reference": NaN}', "tasks.jsonl:3: no JSON: NaN"),
        (b'{"prompt": ' + b"[" * 99999, "tasks.jsonl:3: nested too deep"),
        (b'{"prompt": "x", "id": "one"}', "tasks.jsonl:3: line 1 has the same id 'one'"),
        (b'{"prompt": "x", "verifier": "exactly"}', "tasks.jsonl:3: verifier: no verifier is called 'exactly'"),
        (b'{"prompt": "x", "grader": "exact"}', "tasks.jsonl:3: grader: .* reference"),
    ],
)
def test_a_malformed_task_is_named_by_file_and_line(line, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("tasks.jsonl").write_bytes(b'{"prompt": "a", "id": "one"}\r\n\n' + line + b"\n")
    with pytest.raises(ConfigError, match=said):
        read_tasks("tasks.jsonl")


def test_tasks_may_hold_line_separators_and_begin_with_a_byte_order_mark(tmp_path):
    file = tmp_path / "tasks.jsonl"
    file.write_bytes(b"\xef\xbb\xbf" + '{"prompt": "a\u2028b"}\n{"prompt": "c"}'.encode())
    assert [t.prompt for t in read_tasks(str(file))] == ["a\u2028b", "c"]


def test_tasks_may_come_from_stdin(monkeypatch):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b'{"prompt": "a"}\n{"prompt": 3}\n')))
    with pytest.raises(ConfigError, match="stdin:2: the field 'prompt'"):
        read_tasks("-")


@pytest.mark.parametrize(("content", "said"), [("", "no task"), (None, "cannot be read")])
def test_an_empty_or_missing_tasks_file(content, said, tmp_path):
    file = tmp_path / "tasks.jsonl"
    if content is not None:
        file.write_text(content)
    with pytest.raises(ConfigError, match=said):
        read_tasks(str(file))


@pytest.mark.parametrize(
    ("toml", "said"),
    [
        ("engine = ", "no TOML"),
        ("engin = 'vllm'", "unknown key 'engin'"),
        ("engine = 3", "engine is not a text"),
        ("seed = true", "seed is not a whole number"),
        ("[graphs]\nbest_of_n = 3", "graphs.best_of_n is no table"),
    ],
)
def test_a_wrong_project_file_is_refused(toml, said, tmp_path):
    (tmp_path / "burnish.toml").write_text(toml)
    with pytest.raises(ConfigError, match=said):
        load_project(tmp_path)


def test_the_project_may_stand_in_pyproject(tmp_path):
    assert load_project(tmp_path).engine is None
    (tmp_path / "pyproject.toml").write_text("[tool.burnish]\nengine = 'scripted'")
    assert load_project(tmp_path).engine == "scripted"
    (tmp_path / "burnish.toml").write_text("seed = 3")
    assert load_project(tmp_path).engine is None


def test_flags_go_before_the_environment_and_that_before_the_file(burnish, monkeypatch):
    Path("burnish.toml").write_text(
        "engine = 'scripted'\nseed = 1\nbudget = {calls = 50}\n[engines.scripted]\naccuracy = 1\n"
        "[graphs.best_of_n]\nn = 2\nstop_at_pass = false"
    )

    def shown() -> dict:
        run = burnish("run", "best_of_n", "What is 1 + 1?", "--json", *flags)
        assert run.status == 0, run
        return burnish("runs", "show", run.data["run_id"], "--json").data

    flags: tuple[str, ...] = ()
    seen = shown()
    assert seen["run"]["seed"] == 1
    assert seen["settings"] == {"n": 2, "stop_at_pass": False}
    assert seen["budget"] == {"calls": 50}
    monkeypatch.setenv("BURNISH_SEED", "2")
    monkeypatch.setenv("BURNISH_SET", "n=3 temperature=0")
    assert (seen := shown())["run"]["seed"] == 2
    assert seen["settings"] == {"n": 3, "stop_at_pass": False, "temperature": 0}
    flags = ("--seed", "0", "--set", "n=1", "--budget", "calls=7")
    seen = shown()
    assert seen["run"]["seed"] == 0
    assert seen["settings"]["n"] == 1
    assert seen["budget"] == {"calls": 7}


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (("run", "best_of"), 2, "did you mean best_of_n?"),
        (("run", "best_of_n"), 2, "neither a prompt nor a tasks file"),
        (("run", "best_of_n", "hi", "--tasks", "t"), 2, "both a prompt and a tasks file"),
        (("run", "best_of_n", " "), 2, "the prompt is empty"),
        (("run", "best_of_n", "hi", "--set", "n=0"), 2, "n=0"),
        (("run", "best_of_n", "hi", "--set", "m=1"), 2, "no setting 'm'"),
        (("run", "best_of_n", "hi", "--budget", "calls=0"), 2, "budget's calls is 0"),
        (("run", "best_of_n", "hi", "--budget", "rubbish"), 2, "unknown limit 'rubbish'"),
        (("run", "best_of_n", "hi", "--engine", "nope"), 2, "no engine is called 'nope'"),
        (("run", "best_of_n", "hi", "--engine", "scripted", "--engine-arg", "x"), 2, "no key=value"),
        (("run", "best_of_n", "hi", "--engine", "scripted", "--engine-arg", "x=1"), 2, "takes no x"),
        (("run", "best_of_n", "hi", "--verifier", "nope"), 2, "no verifier is called 'nope'"),
        (("run", "best_of_n", "hi", "--verifier", "exact"), 2, "reference"),
        (("run", "gone.py:graph", "hi"), 2, "there is no file"),
        (("run", "best_of_n", "hi", *SCRIPTED, "--store", "sqlite:////no/such/folder/x.db"), 6, "cannot be opened"),
        (("run", "best_of_n", "hi", *SCRIPTED, "--store", "rubbish"), 2, "database URL"),
        (("run", "best_of_n", "hi", "--concurrency", "0"), 2, "--concurrency"),
        (("runs",), 6, "there is no database"),
        (("runs", "show", "12345678"), 6, "there is no database"),
        (("runs", "resume"), 2, "say which runs"),
        (("graphs", "show", "nope"), 2, "there is no graph 'nope'"),
        (("frobnicate",), 2, "no such command 'frobnicate'"),
        (("run",), 2, "missing argument 'GRAPH'"),
    ],
)
def test_a_mistake_is_one_line_and_a_hint_and_an_exit_status(arguments, status, said, burnish):
    plain = burnish(*arguments)
    assert plain.status == status
    assert plain.out == ""
    assert said in plain.err
    assert "error: " in plain.err
    assert "Traceback" not in plain.err
    as_json = burnish(*arguments, "--json")
    assert as_json.status == status
    assert as_json.error["message"] in plain.err
    assert as_json.error.keys() >= {"kind", "message", "hint"}
    assert not list(Path.cwd().glob("*.db"))


def test_an_unexpected_error_is_one_line_unless_debugged(burnish, monkeypatch):
    Path("broken.py").write_text("def graph():\n    raise KeyError('boom\\x1b[31m')\n")
    failed = burnish("run", "broken.py:graph", "hi", *SCRIPTED)
    assert failed.status == 1
    assert "boom" in failed.err
    assert "\x1b" not in failed.err
    assert "Traceback" not in failed.err
    monkeypatch.setenv("BURNISH_DEBUG", "1")
    assert "Traceback" in burnish("run", "broken.py:graph", "hi", *SCRIPTED).err


def test_json_is_known_to_be_wanted_before_the_line_is_parsed(monkeypatch):
    assert wants_json(["run", "--json"])
    assert not wants_json(["run", "--", "--json"])
    monkeypatch.setenv("BURNISH_JSON", "1")
    assert wants_json(["run"])


def test_init_writes_what_runs_and_overwrites_nothing(burnish):
    made = burnish("init", "project", "--json")
    assert made.data == {"folder": "project", "written": ["burnish.toml", "graph.py", "tasks.jsonl"], "kept": []}
    Path("project/graph.py").write_text("mine")
    assert burnish("init", "project", "--json").data["kept"] == ["burnish.toml", "graph.py", "tasks.jsonl"]
    assert Path("project/graph.py").read_text() == "mine"
    Path("file").write_text("")
    assert burnish("init", "file").status == 2


@pytest.mark.parametrize("accuracy", ["1", "0"])
def test_the_project_of_init_runs_at_once(accuracy, burnish, monkeypatch):
    burnish("init")
    for graph in ("graph.py:graph", "best_of_n"):
        arguments = ("--tasks", "tasks.jsonl", "--engine", "scripted", "--engine-arg", f"accuracy={accuracy}", "--json")
        batch = burnish("run", graph, *arguments)
        assert batch.status == 0
        ends = [r["outcome"] for r in batch.data["results"]]
        assert ends == (["verified"] * 4 if accuracy == "1" else ["rejected"] * 3 + ["verified"])
    assert json.loads(Path("tasks.jsonl").read_text().splitlines()[0])["id"] == "sum"
