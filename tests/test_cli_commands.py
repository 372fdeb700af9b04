"""Commands are imported when they run, and nobody can tell."""

import json
import os
import subprocess
import sys

import pytest
from typer.main import get_command

from burnish.cli.commands import COMMANDS, load
from burnish.cli.main import app, invoke


@pytest.mark.parametrize("name", COMMANDS)
def test_a_stand_in_says_what_the_command_says(name: str):
    stand_in = getattr(get_command(app), "commands")[name]  # noqa: B009
    command = load(name)
    assert command.name == name
    assert command.get_short_help_str(500) == stand_in.get_short_help_str(500)
    assert command.hidden == stand_in.hidden


def test_a_command_brings_its_own_modules_only():
    code = (
        "import sys, json\nfrom burnish.cli.main import invoke\ninvoke({0})\n"
        "print(json.dumps(sorted(m for m in sys.modules if m.startswith('burnish.cli.') or m in ('asyncio', 'rich'))))"
    )

    def loaded(*arguments: str) -> list[str]:
        program = code.format(list(arguments))
        return json.loads(subprocess.check_output([sys.executable, "-c", program], text=True).splitlines()[-1])

    bare = loaded("--help")
    assert bare == ["burnish.cli.commands", "burnish.cli.errors", "burnish.cli.main", "burnish.cli.output"]
    assert loaded("--version") == bare
    assert {"burnish.cli.graphs"} <= set(loaded("graphs", "--help")) - {"burnish.cli.run", "burnish.cli.compare"}


def test_help_of_a_deferred_command_names_the_program(capsys: pytest.CaptureFixture[str]):
    assert invoke(["runs", "list", "--help"]) == 0
    assert "Usage: burnish runs list" in capsys.readouterr().out


def test_a_mistyped_command_is_mended(capsys: pytest.CaptureFixture[str]):
    assert invoke(["rnus"]) == 2
    assert "Did you mean 'runs'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("burnish ru", {"run", "runs"}),
        ("burnish runs l", {"list"}),
        ("burnish runs list --sta", {"--status"}),
        ("burnish db m", {"migrate"}),
    ],
)
def test_words_are_completed(words: str, offered: set[str]):
    asked = {"_BURNISH_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
    program = [sys.executable, "-c", "from burnish.cli.main import app; app(prog_name='burnish')"]
    assert set(subprocess.check_output(program, text=True, env={**os.environ, **asked}).split()) == offered
