"""`burnish runs export-config`: what a run was to do, as a file that `burnish run` takes."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from .. import __version__
from ..core.errors import ConfigError
from ..core.ids import Json
from ..core.redact import is_withheld
from . import completion
from .lookup import reader
from .options import Store
from .output import say, short, show

if TYPE_CHECKING:
    from ..core.runs import RunSpec

FORMAT = 1
"""Version of the file's form."""


def export_config(
    run: Annotated[str, typer.Argument(metavar="ID", help="A run, by some digits of its id.", autocompletion=completion.runs)],
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="FILE", help="Where to; never over a file that is there.", show_default="stdout"),
    ] = None,
    store: Store = None,
) -> int:
    """Write what a run was to do as JSON: graph, settings, task, verifier, seed, budget, engines.

    burnish run FILE.json does it again, and its flags change it: burnish run FILE.json --seed 3.
    """
    if out is not None and (out.exists() or out.suffix != ".json"):
        what = f"{out} is there already" if out.exists() else f"{out} does not end in .json"
        raise ConfigError(what, hint="give another file with --out, as in --out run.json")
    with reader(store) as found:
        spec = found.spec(found.resolve(run))
    value = config_of(spec)
    for line in _notes(spec, value):
        say(line)
    text = json.dumps(value, indent=2)
    if out is None:
        show(text)
        return 0
    try:
        with open(out, "x", encoding="ascii", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
            file.write(text + "\n")
    except OSError as e:
        raise ConfigError(f"{out} cannot be written: {e.strerror}", hint="give another file with --out") from None
    say(f"{out}; run it: burnish run {out}")
    return 0


def config_of(spec: RunSpec) -> dict[str, Json]:
    """A run's configuration, without what only belongs to the one run that was."""
    engines: dict[str, Json] = {}
    for role, engine in spec.engines.items():
        recipe = cast("Mapping[str, Any]", engine).get("recipe") if isinstance(engine, Mapping) else None
        engines[role] = recipe
    return {
        "burnish_run": FORMAT,
        "burnish": spec.code_version or __version__,
        "run": spec.id,
        "graph": spec.graph,
        "settings": dict(spec.settings),
        "task": spec.task.to_json(),
        "seed": spec.seed,
        "budget": spec.budget.to_json(),
        "engines": engines,
    }


def _notes(spec: RunSpec, value: Mapping[str, Json]) -> list[str]:
    """What keeps the file from being run as it is."""
    from ..graphs.registry import is_graph

    notes: list[str] = []
    if not is_graph(spec.graph):
        notes.append(f"note: the graph {spec.graph!r} was given as an object; write where it is: module:attribute")
    engines = cast("Mapping[str, Json]", value["engines"])
    if any(recipe is None for recipe in engines.values()):
        notes.append("note: an engine was given as an object; name one: burnish run FILE.json --engine NAME")
    if is_withheld(value):
        notes.append("note: secrets are not stored; put them in where the file says [redacted]")
    if spec.forked_from:
        notes.append(f"note: the run began with the record of {short(spec.forked_from)}; done again it begins with nothing")
    return notes
