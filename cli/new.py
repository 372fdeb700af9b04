"""`burnish new`: a small graph, policy or verifier to start from, with a test that passes. Nothing is ever overwritten."""

from __future__ import annotations

import keyword
from enum import Enum
from pathlib import Path
from string import Template
from typing import Annotated

import typer

from ..core.errors import ConfigError
from ..core.text import one_line
from .options import AsJson
from .output import emit, say, show


class Kind(Enum):
    """What can be started."""

    graph = "graph"
    policy = "policy"
    verifier = "verifier"


def new(
    kind: Annotated[Kind, typer.Argument(help="What to start.", show_default=False)],
    name: Annotated[str, typer.Argument(metavar="NAME", help="Its name: a Python name in lower case.")],
    folder: Annotated[Path, typer.Option("--in", metavar="FOLDER", help="Made if it is missing.", show_default="here")] = Path(
        "."
    ),
    as_json: AsJson = False,
) -> int:
    """Write NAME.py and test_NAME.py, which run and pass as they are. If one of them is there already, nothing is written.

    With --json, data is {folder, written: [...], try: [...]}.
    """
    from .new_files import FILES, TRIES

    _check(name)
    words = {"name": name, "title": "".join(part.capitalize() for part in name.split("_"))}
    texts = dict(zip((f"{name}.py", f"test_{name}.py"), FILES[kind.value], strict=True))
    _write(folder, {file: Template(text).substitute(words) for file, text in texts.items()})
    tries = [Template(TRIES[kind.value]).substitute(words), f"pytest test_{name}.py"]
    if as_json:
        emit({"folder": str(folder), "written": list(texts), "try": tries})
        return 0
    for file in texts:
        show(str(folder / file))
    say("try it:" + ("" if folder == Path(".") else f" cd {folder}, then"))
    for line in tries:
        say(f"  {line}")
    return 0


def _check(name: str) -> None:
    import sys

    if not name.isidentifier() or not name.isascii() or name != name.lower() or keyword.iskeyword(name) or not name.strip("_"):
        raise ConfigError(f"{one_line(name, 60)!r} is no name for it", hint="a Python name in lower case, such as short_enough")
    if name in sys.stdlib_module_names or name in ("burnish", "pytest", "langgraph"):
        raise ConfigError(f"{name} is the name of a module that the file would hide", hint="give another name")
    if name.startswith("test_"):
        raise ConfigError(f"{name} is a name for a test", hint="leave test_ out; the test is written beside it")


def _write(folder: Path, files: dict[str, str]) -> None:
    """All of the files or none."""
    written: list[Path] = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            path = folder / name
            with path.open("x", encoding="utf-8") as file:
                written.append(path)
                file.write(text)
    except OSError as e:
        for path in written:
            path.unlink(missing_ok=True)
        if isinstance(e, FileExistsError):
            raise ConfigError(f"{e.filename} is there already", hint="nothing was written; give another name, or --in") from None
        raise ConfigError(f"{folder} cannot be written: {e.strerror}", hint="give another folder: --in") from None
