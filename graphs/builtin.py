"""The built-in graphs: one search node, each with its policy."""

from __future__ import annotations

from typing import Any

from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph

from ..agents.solver import Solver
from ..core.context import Context
from ..core.policy import Policy
from ..core.sampling import Sampling
from ..search.policies import BestOfN, Draw, Majority, Single
from ..search.worthwhile import Worthwhile
from ..stats import Resampling
from .nodes import Node, State, search_node
from .settings import BestOfNSettings, DrawSettings, MajoritySettings, SamplingSettings, SearchSettings, WorthwhileSettings

Graph = CompiledStateGraph[Any, Any, Any, Any]


def one_node(name: str, node: Node) -> Graph:
    """A graph of a single node."""
    builder: StateGraph[Any, Any, Any, Any] = StateGraph(State, context_schema=Context)
    builder.add_node("search", node)
    builder.add_edge(START, "search")
    builder.add_edge("search", END)
    return builder.compile(name=name)


def single(settings: SearchSettings) -> Graph:
    """One sample."""
    return _search("single", Single(), settings)


def best_of_n(settings: BestOfNSettings) -> Graph:
    """`n` samples; the one that the verifier puts first."""
    return _search("best_of_n", BestOfN(settings.n, settings.stop_at_pass), settings)


def worthwhile(settings: WorthwhileSettings) -> Graph:
    """Samples one after another until one passes or none is worth its risk any more; then no answer."""
    model = Resampling(types=settings.types, tpr=settings.tpr, fpr=settings.fpr)
    policy = Worthwhile(model, n=settings.n, fp_cost=settings.fp_cost, sample_cost=settings.sample_cost)
    return _search("worthwhile", policy, settings)


def majority(settings: MajoritySettings) -> Graph:
    """`n` samples; the answer that most of them give."""
    return _search("majority", Majority(settings.n, settings.stop_early), settings)


def draw(settings: DrawSettings) -> Graph:
    """`n` samples to be kept; the first is returned."""
    return _search("draw", Draw(settings.n), settings)


def _search(name: str, policy: Policy[Any], settings: SamplingSettings) -> Graph:
    logprobs = 0 if settings.logprobs else None
    sampling = Sampling(max_tokens=settings.max_tokens, temperature=settings.temperature, top_p=settings.top_p, logprobs=logprobs)
    solver = Solver(system=settings.system, sampling=sampling)
    verifier = settings.verifier if isinstance(settings, SearchSettings) else None
    return one_node(name, search_node(policy, solver, verifier, extract=settings.extract, width=settings.width))
