"""No document names a command, an option, a module to run or a make target that does not exist."""

import re
import shlex
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
from typer.main import get_command

from burnish.cli.commands import COMMANDS, load
from burnish.cli.groups import ListByDefault
from burnish.cli.main import app
from tests.test_docs_links import PAGES, ROOT

VLLM = {
    "--block-size",
    "--enable-prompt-tokens-details",
    "--logprobs-mode",
    "--max-num-batched-tokens",
    "--no-enable-chunked-prefill",
}
"""Options of `vllm serve` that are named in running text."""


def code(text: str) -> Iterator[str]:
    """Lines of code blocks, joined where they end in a backslash, and code within prose."""
    text = text.replace("\\\n", " ")
    fence = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)
    for language, block in fence.findall(text):
        yield from block.splitlines() if language in ("", "sh", "console") else ()
    prose = fence.sub("", text)
    yield from (line[4:] for line in prose.splitlines() if line.startswith("    "))
    yield from re.findall(r"`([^`]+)`", "\n".join(line for line in prose.splitlines() if not line.startswith("    ")))


def words(command: str) -> list[str]:
    try:
        return shlex.split(command, comments=True)
    except ValueError:  # Something is left open, as in text that only begins like a command.
        return command.split()


def commands(text: str) -> Iterator[list[str]]:
    """The arguments of every call of burnish."""
    for line in code(text):
        for part in re.split(r" (?:&&|\||;) |; ", line.removeprefix("$ ").replace("\n", " ")):
            found = words(part)
            while found and re.fullmatch(r"[A-Z_]+=.*", found[0]):
                found = found[1:]
            if found and found[0] == "burnish" and len(found) > 1:
                yield found[1:]


PROGRAM: Any = get_command(app)
PROGRAM.commands = {name: load(name) for name in COMMANDS}


def options(command: Any) -> set[str]:
    return {"-h", "--help", *(o for p in command.params for o in (*p.opts, *p.secondary_opts) if o.startswith("-"))}


def wrong(arguments: list[str]) -> str | None:
    """What is wrong with a command line, as far as its names go."""
    command = PROGRAM
    known = options(command)
    if arguments[0] in ("...", "COMMAND", "->"):  # Words that stand for a command, and a drawing.
        return None
    for n, argument in enumerate(arguments):
        group = getattr(command, "commands", None)
        if argument.startswith("-") and len(argument) > 1:
            if group and isinstance(command, ListByDefault):
                command = group[command.default]
                known = options(command)
            if argument.partition("=")[0] not in known and not re.fullmatch(r"-\d+", argument):
                return f"{command.name} has no {argument}"
        elif group is not None:
            name = argument.strip("[],")
            if name not in group:
                return None if n and argument in ("&", "...") else f"{command.name} has no command {name}"
            command, known = group[name], options(group[name])
    return None


@cache
def every_option() -> set[str]:
    def below(command: Any) -> Iterator[str]:
        yield from options(command)
        for child in getattr(command, "commands", {}).values():
            yield from below(child)

    return set(below(PROGRAM))


def texts() -> list[Any]:
    return [pytest.param(page.read_text(encoding="utf-8"), id=str(page.relative_to(ROOT))) for page in PAGES]


@pytest.mark.parametrize("text", texts())
def test_every_command_and_its_options_exist(text):
    assert [(" ".join(found), why) for found in commands(text) if (why := wrong(found))] == []


@pytest.mark.parametrize("text", texts())
def test_every_option_in_running_text_exists(text):
    named = {found[0].partition("=")[0] for span in code(text) if (found := words(span)) and re.match(r"--\w", found[0])}
    assert named - every_option() - VLLM == set()


@pytest.mark.parametrize("text", texts())
def test_every_module_to_run_and_make_target_exists(text):
    targets = set(re.findall(r"^([\w-]+):.*##", (ROOT / "Makefile").read_text(), re.M))
    for line in code(text):
        if found := re.match(r"(?:\$ )?make ([a-z-]+)", line):
            assert found[1] in targets, line
        if found := re.search(r"python3? -m burnish((?:\.\w+)*)(.*)", line):
            path = ROOT.joinpath(*found[1].split(".")[1:])
            source = path / "__main__.py" if path.is_dir() else path.with_suffix(".py")
            assert source.is_file(), line
            written = source.read_text()
            if "model_parser(" in written:
                written += (ROOT / "bench" / "arguments.py").read_text()
            assert all(f'"{o}"' in written for o in re.findall(r"(?<= )--[\w-]+", found[2])), line


@pytest.mark.parametrize(
    "line",
    [
        "burnish runz list",
        "burnish runs lst",
        "burnish run single x --tsks f",
        "burnish runs --tree",
        "X=1 burnish run --no",
        "cd a && burnish no",
    ],
)
def test_what_does_not_exist_is_noticed(line):
    for text in (f"    $ {line}\n", f"```sh\n{line}  # why\n```\n", f"see `{line}`"):
        assert [why for found in commands(text) if (why := wrong(found))]


def test_what_exists_is_not():
    text = (
        "    burnish runs --batch ID\n    burnish -h\n`burnish db [stats]`\n```\nburnish run single 'a -b' \\\n  --seed -1\n```\n"
    )
    found = list(commands(text))
    assert len(found) == 4
    assert [why for each in found if (why := wrong(each))] == []
