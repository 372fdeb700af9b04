"""Options that several commands share. Each has an environment variable."""

from __future__ import annotations

from typing import Annotated

import typer

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
        help="vllm, server, scripted, or one's own: module:attribute, file.py:attribute.",
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
Concurrency = Annotated[
    int | None,
    typer.Option("--concurrency", envvar="BURNISH_CONCURRENCY", min=1, help="Most runs at once.", show_default="16"),
]
