"""The command line: `burnish`."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from .. import __version__
from .commands import Program, stand_in
from .errors import FAILURE, report, wants_json

app = typer.Typer(
    name="burnish",
    cls=Program,
    help="Agent graphs with verifier-driven search; every call, candidate and verdict is kept in SQL.",
    epilog="Exit status: 0 done, 1 failed, 2 wrong usage, 3 not verified, 4 budget spent, 5 no engine, 6 store, "
    "7 another process has the run, 8 waits for an answer, 130 interrupted.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "auto_envvar_prefix": "BURNISH"},
)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"burnish {__version__} (store schema {_schema()})")
        raise typer.Exit


def _schema() -> str:
    """The newest revision of the store's schema, without importing what reads it."""
    folder = Path(__file__).parent.parent / "traces" / "migrations" / "versions"
    return max(path.name[:4] for path in folder.glob("[0-9]*.py"))


def _no_color(wanted: bool) -> None:
    if wanted:
        os.environ["NO_COLOR"] = "1"


@app.callback()
def root(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, allow_from_autoenv=False, help="Print the version and stop."),
    ] = False,
    no_color: Annotated[
        bool, typer.Option("--no-color", callback=_no_color, is_eager=True, help="Print without colours.")
    ] = False,
) -> None:
    """Agent graphs with verifier-driven search; every call, candidate and verdict is kept in SQL."""


stand_in(app)


def main() -> None:
    """Entry point of the program."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # pyright: ignore[reportAttributeAccessIssue]
    sys.exit(invoke(sys.argv[1:]))


def invoke(arguments: Sequence[str]) -> int:
    """Run one command line. Returns the exit status; every error is told here and nowhere else."""
    try:
        status = app(list(arguments), prog_name="burnish", standalone_mode=False)
        sys.stdout.flush()
    except BrokenPipeError:
        # Who read our output has gone; nothing more can be said there, not at exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return FAILURE
    except (Exception, KeyboardInterrupt) as e:
        return report(e, as_json=wants_json(arguments), arguments=arguments)
    return status if isinstance(status, int) else 0
