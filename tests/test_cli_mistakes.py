"""Command lines that are wrong: each is refused with its exit status, in words, before anything is stored or started."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli_kit import Done
from tests.cli_kit import burnish as burnish

Program = Callable[..., Done]
SCRIPTED = 'engine = "scripted"\n'
MISTAKES = [
    ("frobnicate", 2, "no such command 'frobnicate'", "burnish --help"),
    ("run", 2, "missing argument 'GRAPH'", "burnish run --help"),
    ("run nothing x", 2, "there is no graph 'nothing'", "best_of_n"),
    ("run single x --seed many", 2, "it should be a valid integer", "burnish run --help"),
    ("run single x --concurrency 0", 2, "it should be greater than or equal to 1", "burnish run --help"),
    ("run single x --engine ''", 2, "no engine is called ''", "vllm"),
    ("run single x --engine litellm", 2, "missing a required argument: 'model'", "--model NAME"),
    ("run single x --engine server", 2, "missing a required argument: 'base_url'", "api_key_env"),
    ("run single x --engine background", 5, "no engine is in the background", "burnish engine up"),
    ("run single x --store sqlite:///no/x.db", 6, "cannot be opened", "make the folder"),
    ("run episode x", 2, "episode needs the setting 'env'", "--set env=VALUE"),
    ("run single x --store sqlite:///model", 6, "is a folder", "model/burnish.db"),
    ("db stats --store sqlite:///model", 6, "is a folder", "model/burnish.db"),
    ("run single --tasks missing.jsonl", 2, "cannot be read", "check the path"),
    ("runs list --status odd", 2, "'--status': 'odd' is not one of", "burnish runs list --help"),
    ("runs list --store sqlite:///missing.db", 6, "there is no database", "--store"),
    ("runs resume --all --batch 1234", 2, "say which runs", "--batch ID"),
    ("config show nothing", 2, "there is no graph 'nothing'", "best_of_n"),
    ("engine up --engine-arg host=0.0.0.0 --model model", 2, "not open to choice", "its limits"),
    ("engine logs other", 2, "no log of an engine other", "burnish engine status"),
    ("models add x --path nowhere", 2, "there is no folder", "check the path"),
    ("verifiers check exact --pool none", 2, "there is no pool 'none'", "burnish pool draw"),
    ("db prune --older-than soon", 2, "no span of time", "30d"),
    ("compare single --pool none", 2, "there is no pool 'none'", "burnish pool draw"),
]


@pytest.fixture
def place(burnish: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Program:
    monkeypatch.setenv("BURNISH_HOME", str(tmp_path / "home"))
    (tmp_path / "burnish.toml").write_text(SCRIPTED)
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text("{}")
    assert burnish("run", "single", "x").status == 0
    return burnish


def test_each_is_told_in_one_envelope(place: Program) -> None:
    for line, status, message, hint in MISTAKES:
        done = place(*shlex.split(line), *([] if line.startswith("engine logs") else ["--json"]))
        assert done.status == status, line
        if line.startswith("engine logs"):
            assert (message in done.err, hint in done.err) == (True, True), done.err
            continue
        assert json.loads(done.out).keys() == {"schema", "error"}, line
        assert (message in done.error["message"], hint in done.error["hint"]) == (True, True), (line, done.error)
        assert len(done.out.splitlines()) == 1
        assert done.err == "", line
    assert len(place("runs", "list", "--json").data) == 1


def test_a_fork_under_a_verifier_that_is_none_leaves_no_run_behind(place: Program) -> None:
    (run,) = place("runs", "list", "--json").data
    done = place("runs", "fork", run["id"], "--at", "end", "--verifier", "none_such")
    assert (done.status, "no verifier is called" in done.err) == (2, True)
    assert len(place("runs", "list", "--json").data) == 1


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ("concurrency = 0", "concurrency is 0"),
        ("redact = [3]", "redact is not a list of regular expressions"),
        ("roles = 3", "roles is not a table"),
        ('seed = "x"', "seed is not a whole number"),
        ("[engines]\nx = 3", "engines.x is no table"),
    ],
)
def test_a_file_that_says_what_cannot_be(burnish: Program, tmp_path: Path, said: str, message: str) -> None:
    (tmp_path / "burnish.toml").write_text(SCRIPTED + said)
    for command in (("run", "single", "x"), ("config",)):
        done = burnish(*command)
        assert (done.status, f"burnish.toml: {message}" in done.err) == (2, True), done.err


def test_a_picture_is_an_svg_and_the_format_goes_before_the_ending(burnish: Program, tmp_path: Path) -> None:
    assert burnish("graphs", "draw", "single", "--out", "a.png").status == 2
    assert burnish("graphs", "draw", "single", "--out", "a.svg").status == 0
    assert (tmp_path / "a.svg").read_text().startswith("<svg")
    assert burnish("graphs", "draw", "single", "--out", "b.svg", "--format", "mermaid").status == 0
    assert "graph TD" in (tmp_path / "b.svg").read_text()


@pytest.mark.parametrize(
    ("line", "command"),
    [("run single x --reference", "run"), ("runs list --since", "runs list"), ("--no-color runs --since", "runs"), ("--odd", "")],
)
def test_an_option_without_its_value_has_the_help_of_its_command(place: Program, line: str, command: str) -> None:
    done = place(*line.split())
    assert done.status == 2
    assert f"hint: {f'burnish {command}'.strip()} --help\n" in done.err


def test_a_file_that_is_no_database_is_said_once(place: Program) -> None:
    Path("other.db").write_bytes(b"x" * 4096)
    assert place("db", "stats", "--store", "sqlite:///other.db").err.count("not a database") == 1
