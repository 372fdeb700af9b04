"""Options that several commands share. Each has an environment variable."""

from __future__ import annotations

from typing import Annotated

import typer

from . import completion

Store = Annotated[
    str | None,
    typer.Option(
        "--store", envvar="BURNISH_STORE", metavar="URL", help="Database of traces.", show_default="sqlite:///burnish.db"
    ),
]
AsJson = Annotated[
    bool, typer.Option("--json", envvar="BURNISH_JSON", help="Print one JSON envelope on stdout, and nothing else there.")
]
Engine = Annotated[
    str | None,
    typer.Option(
        "--engine",
        envvar="BURNISH_ENGINE",
        metavar="NAME",
        help="vllm, background, server, litellm, scripted, a table [engines.NAME], module:attribute, or file.py:attribute.",
        show_default="vllm",
    ),
]
EngineArg = Annotated[
    list[str] | None,
    typer.Option("--engine-arg", envvar="BURNISH_ENGINE_ARG", metavar="KEY=VALUE", help="Argument of the engine; repeatable."),
]
Model = Annotated[
    str | None,
    typer.Option(
        "--model", envvar="BURNISH_MODEL", metavar="NAME", help="Model by name or path.", show_default="the engine's default"
    ),
]
Role = Annotated[
    list[str] | None,
    typer.Option(
        "--role",
        envvar="BURNISH_ROLE",
        metavar="ROLE=ENGINE",
        help="An engine of its own for a role, as in judge=server; repeatable. [engines.ENGINE] of the file has its arguments.",
    ),
]
Concurrency = Annotated[
    int | None,
    typer.Option("--concurrency", envvar="BURNISH_CONCURRENCY", min=1, help="Most runs at once.", show_default="16"),
]
Verifier = Annotated[
    str | None,
    typer.Option(
        "--verifier",
        envvar="BURNISH_VERIFIER",
        metavar="NAME",
        help="Judges the candidates in place of the tasks' own: a name, a target, a JSON object, or none.",
    ),
]
Limits = Annotated[
    str | None,
    typer.Option(
        "--budget", envvar="BURNISH_BUDGET", metavar="LIMITS", help="Limits of each run: calls=16,tokens=9000,seconds=60."
    ),
]
Setting = Annotated[
    list[str] | None,
    typer.Option("--set", envvar="BURNISH_SET", metavar="KEY=VALUE", help="Setting of the graph; repeatable."),
]
Seed = Annotated[
    int | None, typer.Option("--seed", envvar="BURNISH_SEED", help="All sampling seeds derive from it.", show_default="0")
]
Graph = Annotated[
    str,
    typer.Argument(
        metavar="GRAPH", help="Built-in name, module:attribute or file.py:attribute.", autocompletion=completion.graphs
    ),
]
