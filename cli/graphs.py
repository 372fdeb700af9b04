"""`burnish graphs`: what can be run, and what it is made of."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from ..core.ids import Json, as_json
from . import completion
from .groups import ListByDefault
from .options import AsJson
from .output import emit, paint, quiet_stdout, show, show_table
from .values import pairs

if TYPE_CHECKING:
    from ..graphs.builtin import Graph
    from ..graphs.registry import Builtin

app = typer.Typer(cls=ListByDefault, help="Graphs that can be run: list, show.", rich_markup_mode=None)


@app.command("list")
def list_graphs(as_json: AsJson = False) -> int:
    """List the built-in graphs.

    With --json, data is [{name, summary, settings: [{name, default, description}]}].
    """
    from ..graphs.registry import BUILTIN

    if as_json:
        emit([{"name": g.name, "summary": g.summary, "settings": _settings(g)} for g in BUILTIN.values()])
        return 0
    show_table(["GRAPH", "DOES"], [[g.name, g.summary] for g in BUILTIN.values()])
    return 0


@app.command("show")
def show_graph(
    graph: Annotated[
        str,
        typer.Argument(
            metavar="GRAPH", help="Built-in name, module:attribute or file.py:attribute.", autocompletion=completion.graphs
        ),
    ],
    setting: Annotated[
        list[str] | None,
        typer.Option("--set", envvar="BURNISH_SET", metavar="KEY=VALUE", help="Setting of the graph; repeatable."),
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Show a graph's settings, and its nodes and edges as a Mermaid diagram.

    With --json, data is {name, summary, settings: [{name, default, description}], nodes, edges, mermaid}.
    """
    from ..graphs.registry import BUILTIN, build_graph, graph_name

    with quiet_stdout():
        built = build_graph(graph, pairs(setting or (), "--set"))
        known = BUILTIN.get(graph)
        summary, settings = (known.summary, _settings(known)) if known else _of_target(graph)
        drawn = _drawn(built)
    if as_json:
        emit({"name": graph_name(graph), "summary": summary, "settings": settings, **drawn})
        return 0
    show(paint(graph, "bold") + (f": {summary}" if summary else ""))
    show()
    if settings:
        rows = [[str(s["name"]), _shown(s["default"]), str(s["description"])] for s in settings]
        show_table(["SETTING", "DEFAULT", "MEANING"], rows)
    else:
        show("no settings")
    show()
    show(str(drawn["mermaid"]).rstrip())
    return 0


def _settings(builtin: Builtin) -> list[dict[str, Json]]:
    fields = builtin.settings.model_fields
    return [
        {"name": name, "default": as_json(field.default), "description": field.description or ""}
        for name, field in fields.items()
    ]


def _of_target(target: str) -> tuple[str, list[dict[str, Json]]]:
    """First line of the documentation, and the settings, of a graph of one's own."""
    from ..core.target import load_target

    found = load_target(target, what="graph")
    if not inspect.isfunction(found):
        return "", []
    summary = (inspect.getdoc(found) or "").partition("\n")[0]
    parameters = inspect.signature(found).parameters.values()
    return summary, [
        {
            "name": p.name,
            "default": None if p.default is p.empty else as_json(p.default),
            "description": "" if p.annotation is p.empty else inspect.formatannotation(p.annotation).strip("'"),
        }
        for p in parameters
    ]


def _drawn(graph: Graph) -> Mapping[str, Json]:
    plan = cast("Any", graph).get_graph(xray=True)
    return {
        "nodes": list(plan.nodes),
        "edges": [{"from": e.source, "to": e.target, "conditional": bool(e.conditional)} for e in plan.edges],
        "mermaid": plan.draw_mermaid(),
    }


def _shown(default: Json) -> str:
    import json

    return json.dumps(default)
