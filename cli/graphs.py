"""`burnish graphs`: what can be run, and what it is made of."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from ..core.errors import ConfigError
from ..core.ids import Json, as_json
from .extended import loaded_extensions
from .groups import ListByDefault
from .options import AsJson, Setting
from .options import Graph as GraphArg
from .output import emit, paint, quiet_stdout, say, show, show_table
from .values import pairs

if TYPE_CHECKING:
    from ..graphs.builtin import Graph
    from ..graphs.registry import Builtin

app = typer.Typer(cls=ListByDefault, help="Graphs that can be run: list, show, draw.", rich_markup_mode=None)


class Form(Enum):
    """How a graph is drawn."""

    mermaid = "mermaid"
    svg = "svg"


@app.command("list")
def list_graphs(as_json: AsJson = False) -> int:
    """List the built-in graphs, and those of installed distributions.

    With --json, data is [{name, summary, settings: [{name, default, description}], origin, error}].
    """
    from ..graphs.registry import BUILTIN

    listed: list[dict[str, Any]] = [
        {"name": g.name, "summary": g.summary, "settings": _settings(g), "origin": "burnish", "error": ""}
        for g in BUILTIN.values()
    ]
    with quiet_stdout():
        for one in loaded_extensions("graph", BUILTIN):
            summary, settings = _described(one.found)
            listed.append({"name": one.name, "summary": summary, "settings": settings, "origin": one.origin, "error": one.error})
    if as_json:
        emit(listed)
        return 0
    show_table(["GRAPH", "ORIGIN", "DOES"], [[g["name"], g["origin"], g["error"] or g["summary"]] for g in listed])
    return 0


@app.command("show")
def show_graph(
    graph: GraphArg,
    setting: Setting = None,
    as_json: AsJson = False,
) -> int:
    """Show a graph's settings, and its nodes and edges as a Mermaid diagram.

    With --json, data is {name, summary, settings: [{name, default, description}], nodes, edges, mermaid}. The last three are
    empty for a graph that cannot be made without a setting, unless that is given.
    """
    from ..core.errors import ConfigError
    from ..graphs.registry import BUILTIN, build_graph, graph_name

    known, why = BUILTIN.get(graph), ""
    with quiet_stdout():
        try:
            drawn = _drawn(build_graph(graph, pairs(setting or (), "--set")))
        except ConfigError as e:
            if known is None or setting:
                raise
            nothing: dict[str, Json] = {"nodes": [], "edges": [], "mermaid": ""}
            drawn, why = nothing, e.message
        summary, settings = (known.summary, _settings(known)) if known else _described(_own(graph))
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
    show(f"its nodes are shown with the settings that it needs: {why}" if why else str(drawn["mermaid"]).rstrip())
    return 0


_PICTURES = (".bmp", ".gif", ".jpeg", ".jpg", ".pdf", ".png", ".webp")


@app.command("draw")
def draw_graph(
    graph: GraphArg,
    setting: Setting = None,
    form: Annotated[Form | None, typer.Option("--format", help="Text for Mermaid, or a picture.", show_default=False)] = None,
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Where to write it.", show_default="stdout")] = None,
) -> int:
    """Draw a graph's nodes and edges, dashed where a condition decides. Without --format the ending of --out says how."""
    from ..graphs.registry import build_graph
    from .svg import Edge, svg

    as_svg = form is Form.svg or (form is None and out is not None and out.suffix == ".svg")
    if out is not None and out.suffix in _PICTURES:
        raise ConfigError(f"a picture cannot be written as {out}", hint="a file that ends in .svg, or Mermaid in any other")
    with quiet_stdout():
        plan = cast("Any", build_graph(graph, pairs(setting or (), "--set"))).get_graph(xray=True)
        edges = [Edge(e.source, e.target, str(e.data or ""), bool(e.conditional)) for e in plan.edges]
        text = svg(list(plan.nodes), edges) if as_svg else str(plan.draw_mermaid())
    if out is None:
        show(text.rstrip())
        return 0
    try:
        out.write_text(text, encoding="utf-8")
    except OSError as e:
        raise ConfigError(f"{out} cannot be written: {e.strerror}", hint="give another file: --out") from None
    say(f"wrote {out}")
    return 0


def _settings(builtin: Builtin) -> list[dict[str, Json]]:
    fields = builtin.settings.model_fields
    return [
        {
            "name": name,
            "default": None if field.is_required() else as_json(field.get_default(call_default_factory=True)),
            "description": field.description or "",
        }
        for name, field in fields.items()
    ]


def _own(graph: str) -> object:
    """What an extension's name or a target stands for."""
    from ..core.extensions import extension
    from ..core.target import load_target

    found = extension("graph", graph)
    return found.load() if found else load_target(graph, what="graph")


def _described(found: object) -> tuple[str, list[dict[str, Json]]]:
    """First line of the documentation, and the settings, of a graph of one's own."""
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
