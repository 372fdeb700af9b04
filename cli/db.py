"""`burnish db`: looking after the database itself."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from ..core.errors import ConfigError, StoreError
from ..core.text import one_line, printable
from .errors import OK
from .groups import StatsByDefault
from .options import AsJson, Store
from .output import count, emit, paint, say, show, show_table
from .project import load_project
from .times import span_ns

if TYPE_CHECKING:
    from ..traces.prune import Pruned


app = typer.Typer(cls=StatsByDefault, help="The database: stats, check, migrate, prune, vacuum.", rich_markup_mode=None)


@app.command("stats")
def stats(store: Store = None, as_json: AsJson = False) -> int:
    """Show how large the database is, and of what.

    With --json, data is {store, revision, bytes, free_bytes, tables: [{name, rows, bytes}], runs: {status: n}, text_bytes,
    stored_text_bytes}; null stands for what the database does not tell.
    """
    from ..traces.maintain import store_size

    size = store_size(_place(store))
    if as_json:
        emit(asdict(size))
        return OK
    show(f"store: {printable(size.store)}, schema {size.revision}")
    free = f", {_bytes(size.free_bytes)} of them free" if size.free_bytes else ""
    show(f"size: {_bytes(size.bytes)}{free}")
    show(f"texts: {_bytes(size.text_bytes)}, stored as {_bytes(size.stored_text_bytes)}")
    show("runs: " + (", ".join(f"{n:,} {status}" for status, n in size.runs.items()) or "none"))
    show()
    show_table(["TABLE", "ROWS", "SIZE"], [[t.name, f"{t.rows:,}", _bytes(t.bytes)] for t in size.tables])
    return OK


@app.command("check")
def check(
    quick: Annotated[bool, typer.Option("--quick", help="Do not read every page and every text.")] = False,
    store: Store = None,
    as_json: AsJson = False,
) -> int:
    """Check that the database is whole: its pages, references, numbers, and the hash of every stored text.

    Exit status 6 if it is damaged; a note, such as a call that a kill left without a result, is no damage.

    With --json, data is {whole, findings: [{level, kind, message, count, examples, mend}]}; level is damage or note.
    """
    from ..traces.audit import audit

    found = audit(_place(store), quick=quick)
    damaged = any(finding.level == "damage" for finding in found)
    if as_json:
        emit({"whole": not damaged, "findings": [asdict(finding) for finding in found]})
    else:
        for finding in found:
            level = paint(finding.level, "red" if finding.level == "damage" else "yellow")
            show(f"{level}: {finding.kind}: {finding.count:,}: {printable(finding.message)}")
            for example in finding.examples:
                show(f"  {one_line(example, 200)}")
            show(f"  mend: {finding.mend}")
        say("the database is damaged" if damaged else "the database is whole")
    return StoreError.exit_code if damaged else OK


@app.command("migrate")
def migrate(store: Store = None, as_json: AsJson = False) -> int:
    """Bring the database to the schema of this version. A SQLite file is copied first, beside itself.

    Every command that writes does so by itself; this is for doing it at a time of one's choosing.

    With --json, data is {before, after}: the schema's revisions; before is null for an empty database.
    """
    from ..traces.maintain import bring_up_to_date

    before, after = bring_up_to_date(_place(store))
    if as_json:
        emit({"before": before, "after": after})
    else:
        say(f"the schema is {after} already" if before == after else f"the schema was {before or 'empty'}, and is {after} now")
    return OK


@app.command("prune")
def prune(
    keep_last: Annotated[int | None, typer.Option("--keep-last", min=0, metavar="N", help="Keep the newest N runs.")] = None,
    older_than: Annotated[
        str | None, typer.Option("--older-than", metavar="SPAN", help="Only runs that ended longer ago: 30d, 12h.")
    ] = None,
    unfinished: Annotated[
        bool, typer.Option("--unfinished", help="Also runs that are not done, if nothing was heard of them for an hour.")
    ] = False,
    named: Annotated[bool, typer.Option("--named", help="Also batches with a name: pools, comparisons.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    store: Store = None,
    as_json: AsJson = False,
) -> int:
    """Remove ended runs, and the texts that nothing points to any more.

    A batch goes whole or not at all; a run that a process is at work on never goes. Texts go only while no other process has
    the database open; else the next prune removes them.

    With --json, data is {dry_run, runs, batches, texts, text_bytes}; texts is null where they were left.
    """
    from ..traces.prune import Rule, prune

    older_ns = span_ns(older_than, "--older-than") if older_than is not None else None
    rule = Rule(keep_last=keep_last, older_than_ns=older_ns, unfinished=unfinished, named=named)
    place = _place(store)
    if not dry_run and not yes:
        _confirm(prune(place, rule, dry_run=True))
    done = prune(place, rule, dry_run=dry_run)
    if as_json:
        emit({"dry_run": dry_run, **asdict(done)})
        return OK
    say(f"{'would remove' if dry_run else 'removed'}: {count(done.runs, 'run')}, {_batches(done.batches)}")
    if done.texts is not None:
        say(f"removed: {count(done.texts, 'text')}, {_bytes(done.text_bytes)}; burnish db vacuum gives the space back")
    elif not dry_run:
        say("texts and empty batches are left for the next prune: another process has the database open")
    return OK


@app.command("vacuum")
def vacuum(store: Store = None, as_json: AsJson = False) -> int:
    """Give freed space back. SQLite writes its file anew, and needs room for a second one meanwhile.

    With --json, data is {before, after} in bytes.
    """
    from ..traces.maintain import vacuum

    before, after = vacuum(_place(store))
    if as_json:
        emit({"before": before, "after": after})
    else:
        say(f"the database had {_bytes(before)}, and has {_bytes(after)}")
    return OK


def _place(store: str | None) -> str | None:
    return store or load_project().store


def _confirm(planned: Pruned) -> None:
    """Ask a person before any run is removed.

    Raises:
        ConfigError: there is nobody to ask, or the answer is no.
    """
    if not planned.runs:
        return
    what = f"{count(planned.runs, 'run')}, {_batches(planned.batches)}"
    if not sys.stdin.isatty():
        raise ConfigError(f"this removes {what}", hint="say so with --yes, or look first with --dry-run")
    print(f"remove {what}? [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise ConfigError("nothing was removed", hint="look with --dry-run")


def _batches(n: int) -> str:
    return f"{n:,} batch" if n == 1 else f"{n:,} batches"


def _bytes(n: int | None) -> str:
    """A size for people; a dash where it is not known."""
    if n is None:
        return "-"
    size, unit = float(n), "B"
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if size < 1000 or unit == "TB":
            break
        size /= 1000
    return f"{n:,} B" if unit == "B" else f"{size:,.1f} {unit}"
