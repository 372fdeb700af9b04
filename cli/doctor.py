"""`burnish doctor`: is everything in place, and if not, what mends it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from .options import AsJson
from .output import emit, quiet_stdout, say, show_table

if TYPE_CHECKING:
    from ..engine.doctor import Check


def doctor(
    deep: Annotated[bool, typer.Option("--deep", help="Also start the engine and generate a token.")] = False,
    fix: Annotated[bool, typer.Option("--fix", help="Mend what can be mended, then look again.")] = False,
    store: Annotated[
        str | None, typer.Option("--store", envvar="BURNISH_STORE", metavar="URL", help="Database of traces.")
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Check Python, vLLM, the model, the store, disk and memory. The exit status is 1 if something fails.

    With --json, data is [{name, outcome, found, hint, fixable}], outcome being ok, warn or fail.
    """
    with quiet_stdout():
        checks = _look(store, deep=deep and not fix)
        if fix:
            for check in checks:
                if check.mend is not None and check.outcome != "ok":
                    check.mend(say)
            checks = _look(store, deep=deep)
    if as_json:
        emit([check.to_json() for check in checks])
    else:
        rows = [[c.name, c.outcome, c.found + (f"; mend: {c.hint}" if c.hint else "")] for c in checks]
        show_table(["CHECK", "STATE", "FOUND"], rows, {"ok": "green", "warn": "yellow", "fail": "red"})
    return 1 if any(check.outcome == "fail" for check in checks) else 0


def _look(store: str | None, *, deep: bool) -> list[Check]:
    import asyncio

    from ..engine.doctor import examine, generation

    checks = [_burnish(), *examine(), _sandbox(), _sqlite(), _store(store)]
    if deep:
        checks.append(asyncio.run(generation()))
    return checks


def _burnish() -> Check:
    from pathlib import Path

    from .. import __version__
    from ..engine.doctor import Check

    return Check("burnish", "ok", f"{__version__} ({Path(__file__).parent.parent})")


def _sandbox() -> Check:
    from ..core.errors import ConfigError
    from ..engine.doctor import Check
    from ..verifiers.sandbox.layers import layers, required

    names = ", ".join(layers().names) or "no isolation"
    try:
        required("strong")
    except ConfigError as e:
        return Check("sandbox", "warn", f"{names}: python_tests will not run", e.hint)
    return Check("sandbox", "ok", names)


def _sqlite() -> Check:
    import sqlite3
    import tempfile
    from contextlib import closing
    from pathlib import Path

    from ..engine.doctor import Check

    version = sqlite3.sqlite_version
    if sqlite3.sqlite_version_info < (3, 35):
        return Check("sqlite", "fail", f"{version} is too old", "a Python with SQLite 3.35 or newer")
    with tempfile.TemporaryDirectory() as folder, closing(sqlite3.connect(Path(folder) / "probe.db")) as connection:
        mode = str(connection.execute("PRAGMA journal_mode=WAL").fetchone()[0])
    if mode.lower() != "wal":
        return Check("sqlite", "fail", f"{version} has no write-ahead log here", "another temporary folder: set TMPDIR")
    return Check("sqlite", "ok", f"{version}, write-ahead log")


def _store(url: str | None) -> Check:
    from ..core.errors import BurnishError
    from ..engine.doctor import Check
    from ..traces import store as traces

    try:
        reader = traces.Store.open_reader(url)
    except BurnishError as e:
        if e.code in ("missing", "older_schema"):
            return Check("store", "ok", f"{e.message}; the first run sees to it")
        return Check("store", "fail", e.message, e.hint)
    reader.close()
    return Check("store", "ok", "readable, schema current")
