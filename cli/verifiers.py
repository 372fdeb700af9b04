"""`burnish verifiers`: what can judge answers, and how far it can be trusted."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..core.errors import ConfigError
from ..core.text import one_line, printable
from . import audits
from .extended import loaded_extensions
from .groups import ListByDefault
from .lookup import moment, reader
from .options import AsJson, Concurrency, EngineArg, Model, Store
from .output import emit, paint, quiet_stdout, show, show_table
from .project import load_project
from .signals import drive

if TYPE_CHECKING:
    from ..verifiers.describe import Argument

app = typer.Typer(cls=ListByDefault, help="Judges of answers: list, show, check, audits.", rich_markup_mode=None)


@app.command("list")
def list_verifiers(as_json: AsJson = False) -> int:
    """List the built-in verifiers, and those of installed distributions.

    With --json, data is [{name, summary, oracle, doc, arguments: [{name, type, required, default, doc}], origin, error}].
    """
    from ..verifiers.describe import describe, describe_loaded
    from ..verifiers.registry import VERIFIERS

    listed: list[dict[str, Any]] = [{**describe(name).to_json(), "origin": "burnish", "error": ""} for name in VERIFIERS]
    with quiet_stdout():
        for one in loaded_extensions("verifier", VERIFIERS):
            listed.append({**describe_loaded(one.name, one.found).to_json(), "origin": one.origin, "error": one.error})
    if as_json:
        emit(listed)
        return 0
    rows = [[d["name"], d["origin"], _needs(d), d["oracle"], d["error"] or d["summary"]] for d in listed]
    show_table(["VERIFIER", "ORIGIN", "NEEDS", "SEES THE REFERENCE", "DOES"], rows)
    return 0


def _needs(described: Mapping[str, Any]) -> str:
    return ", ".join(a["name"] for a in described["arguments"] if a["required"]) or "-"


@app.command("show")
def show_verifier(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Built-in name, module:attribute or file.py:attribute.")],
    as_json: AsJson = False,
) -> int:
    """Show what a verifier does and the arguments that it takes.

    With --json, data is {name, summary, oracle, doc, arguments: [{name, type, required, default, doc}]}.
    """
    from ..verifiers.describe import describe

    with quiet_stdout():
        found = describe(name)
    if as_json:
        emit(found.to_json())
        return 0
    show(paint(one_line(found.name), "bold") + (f": {one_line(found.summary, 200)}" if found.summary else ""))
    show(f"sees the reference: {found.oracle}")
    show()
    show(printable(found.doc))
    for argument in found.arguments:
        show()
        show(_heading(argument))
        if argument.doc:
            show(textwrap.indent(textwrap.fill(argument.doc, 100), "    "))
    return 0


@app.command("check")
def check_verifier(
    verifier: Annotated[
        str | None,
        typer.Argument(metavar="[VERIFIER]", help="A name, a target, a JSON object, or task for each task's own."),
    ] = None,
    tasks: Annotated[str | None, typer.Option("--tasks", metavar="FILE", help="Tasks as JSON Lines; - reads stdin.")] = None,
    answers: Annotated[
        str | None, typer.Option("--answers", metavar="FILE", help="Answers to them as JSON Lines; - reads stdin.")
    ] = None,
    pool: Annotated[
        str | None, typer.Option("--pool", metavar="NAME", help="The samples of a stored pool instead, with its tasks.")
    ] = None,
    grader: Annotated[
        str | None,
        typer.Option("--grader", metavar="NAME", help="Says what is right where the answers do not; of a pool's, anew."),
    ] = None,
    name: Annotated[
        str | None, typer.Option("--name", help="Under which it is stored; alone: show it.", show_default="by content")
    ] = None,
    engine: Annotated[
        str | None,
        typer.Option(
            "--engine", envvar="BURNISH_ENGINE", metavar="NAME", help="For a verifier that asks a model.", show_default="none"
        ),
    ] = None,
    engine_arg: EngineArg = None,
    model: Model = None,
    concurrency: Concurrency = None,
    store: Store = None,
    as_json: AsJson = False,
) -> int:
    """Audit a verifier on answers that are known to be right or wrong: false accepts, false rejects, abstentions.

    The same command again shows the stored audit, or goes on where it was cut short. With --json, data is {finished, name,
    batch_id, verifier, verifiers, oracle, source, sampled, tasks, answers, ungraded, abstentions, all, over_tasks, by_model,
    by_attempt, choice, outlook}, or {finished: false, name, batch_id, tasks, judged, failed: [{task_id, error}]}.

    Exit status: 0 done, whatever was found; 1 a task failed; 2 wrong usage; 5 no engine; 6 store; 130 interrupted.
    """
    project = load_project()
    url = store or project.store
    if verifier is None:
        if name is None or tasks or answers or pool:
            raise ConfigError("there is no verifier to check", hint="burnish verifiers check VERIFIER ..., or --name alone")
        with reader(store) as found:
            return audits.show_stored(found, name, as_json=as_json)
    wanted = audits.Wanted(verifier=verifier, tasks=tasks, answers=answers, pool=pool, grader=grader, name=name or "", store=url)
    with quiet_stdout():
        made = audits.engine_of(engine, model, engine_arg or (), project)
        order = wanted.order(made.recipe)
        width = concurrency or project.concurrency or 16
        ended = drive(lambda signals: audits.judged(order, made, url, width, signals))
    return audits.show_ended(order, ended, url, as_json=as_json)


@app.command("audits")
def list_audits(store: Store = None, as_json: AsJson = False) -> int:
    """List the stored audits, the newest first.

    With --json, data is [{name, batch_id, verifier, source, tasks, done, created_ns}].
    """
    from ..compare.audit import PREFIX, about, audit_batches

    with reader(store) as found:
        batches = audit_batches(found)
    if as_json:
        emit(
            [
                {
                    "name": b.name.removeprefix(PREFIX),
                    "batch_id": b.id,
                    "verifier": about(b)["verifier"],
                    "source": about(b)["source"],
                    "tasks": b.runs,
                    "done": b.done,
                    "created_ns": b.created_ns,
                }
                for b in batches
            ]
        )
        return 0
    rows = [
        [b.name.removeprefix(PREFIX), moment(b.created_ns), str(about(b)["judge"]), f"{b.done} of {b.runs}", about(b)["source"]]
        for b in batches
    ]
    show_table(["AUDIT", "BEGUN", "VERIFIER", "TASKS JUDGED", "ANSWERS FROM"], rows)
    return 0


def _heading(argument: Argument) -> str:
    default = "required" if argument.required else f"default {json.dumps(argument.default)}"
    return f"{paint(argument.name, 'bold')} ({one_line(argument.type, 100)}; {one_line(default, 100)})"
