"""Graphs by name. Light: LangGraph is imported when a graph is built, not when graphs are listed."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, cast

from pydantic import ValidationError

from ..core.errors import ConfigError
from ..core.extensions import extension
from ..core.ids import Json
from ..core.target import absolute, is_target, load_target
from .arguments import call_with
from .episode_settings import EpisodeSettings
from .iad_settings import IadSettings, SelfRefineSettings, SequentialRevisionSettings
from .plangen_settings import PlangenSettings
from .rag_baseline_settings import DragSettings, IrcotSettings, IterDragSettings, IterRetgenSettings
from .rag_settings import AutoRagSettings, ClosedBookSettings, NaiveRagSettings
from .settings import (
    BeamSettings,
    BestOfNSettings,
    DrawSettings,
    MajoritySettings,
    RebaseSettings,
    SamplingSettings,
    SearchSettings,
    TreeOfThoughtSettings,
    WorthwhileSettings,
)

if TYPE_CHECKING:
    from .builtin import Graph


@dataclass(frozen=True, kw_only=True)
class Builtin:
    """A graph that ships with burnish."""

    name: str
    summary: str
    settings: type[SamplingSettings]
    builder: str
    """`module:function` within this room."""


BUILTIN: dict[str, Builtin] = {
    g.name: g
    for g in (
        Builtin(
            name="auto_rag",
            summary="Auto-RAG: the model plans what to look up, reads what was found, and searches again or answers",
            settings=AutoRagSettings,
            builder="auto_rag:auto_rag",
        ),
        Builtin(
            name="beam",
            summary="steps; the best of each level are continued, in one tree or several",
            settings=BeamSettings,
            builder="steps:beam",
        ),
        Builtin(
            name="best_of_n",
            summary="n samples; the one that the verifier puts first",
            settings=BestOfNSettings,
            builder="builtin:best_of_n",
        ),
        Builtin(
            name="closed_book",
            summary="a short answer to a question from what the model knows",
            settings=ClosedBookSettings,
            builder="auto_rag:closed_book",
        ),
        Builtin(
            name="drag",
            summary="DRAG: documents, worked examples with documents of their own, one call",
            settings=DragSettings,
            builder="rag_baselines:drag",
        ),
        Builtin(name="draw", summary="n samples to be kept, none judged", settings=DrawSettings, builder="builtin:draw"),
        Builtin(
            name="episode",
            summary="an agent acts in an environment: one attempt, several side by side, or rounds that learn from earlier ones",
            settings=EpisodeSettings,
            builder="episode:episode",
        ),
        Builtin(
            name="iad",
            summary="rounds of candidates made with what was said of the best one and a rejected one",
            settings=IadSettings,
            builder="iad:iad",
        ),
        Builtin(
            name="ircot",
            summary="IRCoT: a sentence of reasoning, a search with it, the next sentence",
            settings=IrcotSettings,
            builder="rag_baselines:ircot",
        ),
        Builtin(
            name="iter_drag",
            summary="IterDRAG: sub-questions, each searched for and answered, then the answer",
            settings=IterDragSettings,
            builder="rag_baselines:iter_drag",
        ),
        Builtin(
            name="iter_retgen",
            summary="ITER-RETGEN: searches with the question and what was generated from the passages before",
            settings=IterRetgenSettings,
            builder="rag_baselines:iter_retgen",
        ),
        Builtin(
            name="majority",
            summary="n samples; the answer that most of them give",
            settings=MajoritySettings,
            builder="builtin:majority",
        ),
        Builtin(
            name="naive_rag",
            summary="one search with the question, then a short answer by what was found",
            settings=NaiveRagSettings,
            builder="auto_rag:naive_rag",
        ),
        Builtin(
            name="plangen",
            summary="PlanGEN: constraints, plans, verification, and a bandit over three searches",
            settings=PlangenSettings,
            builder="plangen:plangen",
        ),
        Builtin(
            name="rebase",
            summary="steps; the better one is, the more steps are tried behind it",
            settings=RebaseSettings,
            builder="steps:rebase",
        ),
        Builtin(
            name="self_refine",
            summary="the newest answer criticised by the model and rewritten, again and again",
            settings=SelfRefineSettings,
            builder="iad:self_refine",
        ),
        Builtin(
            name="sequential_revision",
            summary="each answer made behind the one before, without feedback; the best of all",
            settings=SequentialRevisionSettings,
            builder="iad:sequential_revision",
        ),
        Builtin(name="single", summary="one sample", settings=SearchSettings, builder="builtin:single"),
        Builtin(
            name="tree_of_thought",
            summary="steps; one tree, grown greedily, by level, in depth or best first",
            settings=TreeOfThoughtSettings,
            builder="steps:tree_of_thought",
        ),
        Builtin(
            name="worthwhile",
            summary="samples until one passes, or one more is not worth its risk: then no answer",
            settings=WorthwhileSettings,
            builder="builtin:worthwhile",
        ),
    )
}


def graph_name(graph: object) -> str:
    """How a run names its graph: the built-in's name, a target, or the name that a graph given in code carries."""
    if isinstance(graph, str):
        return graph if graph in BUILTIN else absolute(graph)
    return str(getattr(graph, "name", None) or getattr(graph, "__name__", type(graph).__name__))


def is_graph(name: str) -> bool:
    """Whether a graph can be found by its name alone: a built-in, an extension, or the target of one's own."""
    return name in BUILTIN or is_target(name) or extension("graph", name) is not None


def build_graph(graph: object, settings: Mapping[str, Json] | None = None) -> Graph:
    """A compiled graph from the name of a built-in or an extension, a target, a builder, a graph, or a function that makes one.

    A function gets the settings as keyword arguments; a finished graph takes none.

    Raises:
        ConfigError: an unknown name, a setting that does not exist or is out of range, or an object that is no graph.
    """
    settings = settings or {}
    if isinstance(graph, str):
        if graph in BUILTIN:
            return _build(BUILTIN[graph], settings)
        if not is_target(graph):
            if (found := extension("graph", graph)) is not None:
                return _compiled(found.load(), settings)
            near = get_close_matches(graph, BUILTIN, n=1)
            hint = f"did you mean {near[0]}?" if near else f"one of {', '.join(BUILTIN)}, module:attribute or file.py:attribute"
            raise ConfigError(f"there is no graph {graph!r}", hint=hint)
        return _compiled(load_target(graph, what="graph"), settings)
    return _compiled(graph, settings)


def _compiled(graph: object, settings: Mapping[str, Json]) -> Graph:
    from langgraph.graph import StateGraph
    from langgraph.pregel import Pregel

    if isinstance(graph, StateGraph):
        return _compiled(cast(Any, graph).compile(), settings)
    if isinstance(graph, Pregel):
        if settings:
            raise ConfigError(
                f"this graph takes no settings, but got {', '.join(settings)}", hint="give a function that makes the graph"
            )
        return cast("Graph", graph)
    if not callable(graph):
        raise ConfigError(
            f"a {type(graph).__name__} is no graph", hint="a StateGraph, a compiled graph, or a function that returns one"
        )
    made = call_with(cast("Callable[..., Any]", graph), settings)
    if callable(made) and not isinstance(made, StateGraph | Pregel):
        raise ConfigError(f"{graph!r} returned a {type(made).__name__}", hint="return a StateGraph or a compiled graph")
    return _compiled(cast("object", made), {})


def _build(builtin: Builtin, settings: Mapping[str, Json]) -> Graph:
    checked = check_settings(builtin, settings)
    module, _, function = builtin.builder.partition(":")
    return getattr(importlib.import_module(f".{module}", __package__), function)(checked)


def check_settings(builtin: Builtin, settings: Mapping[str, Json]) -> SamplingSettings:
    """The settings of a built-in graph, checked.

    Raises:
        ConfigError: naming the setting and what is wrong with it.
    """
    try:
        return builtin.settings(**settings)  # pyright: ignore[reportArgumentType]
    except ValidationError as e:
        first = e.errors()[0]
        name = ".".join(map(str, first["loc"]))
        hint = f"settings of {builtin.name}: {', '.join(builtin.settings.model_fields)}"
        if first["type"] == "extra_forbidden":
            raise ConfigError(f"{builtin.name} has no setting {name!r}", hint=hint) from None
        if first["type"] == "missing":
            raise ConfigError(f"{builtin.name} needs the setting {name!r}", hint=f"--set {name}=VALUE; {hint}") from None
        raise ConfigError(f"{builtin.name}: {name}={first['input']!r}: {first['msg']}", hint=hint) from None
