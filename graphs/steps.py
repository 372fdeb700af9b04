"""The built-in graphs that make solutions step by step: one search node, each with its policy."""

from __future__ import annotations

from typing import Any

from ..agents.solver import Solver
from ..core.sampling import Sampling
from ..search.beam import Beam
from ..search.complete import completion_check
from ..search.rebase import Rebase
from ..search.steps import StepByStep
from ..search.tree_of_thought import TreeOfThought
from .builtin import Graph, one_node
from .nodes import search_node
from .settings import BeamSettings, RebaseSettings, StepSettings, TreeOfThoughtSettings


def tree_of_thought(settings: TreeOfThoughtSettings) -> Graph:
    """One tree of steps, grown by a strategy."""
    policy = TreeOfThought(
        settings.strategy,
        settings.children,
        settings.depth,
        settings.nodes,
        settings.keep,
        settings.threshold,
        **_shared(settings),
    )
    return _search(policy, settings)


def rebase(settings: RebaseSettings) -> Graph:
    """`n` solutions, with more of them behind the more promising steps."""
    policy = Rebase(
        settings.n,
        settings.balance,
        settings.depth,
        **_shared(settings),
    )
    return _search(policy, settings)


def beam(settings: BeamSettings) -> Graph:
    """The best of each level continued."""
    policy = Beam(
        settings.total_width,
        settings.keep,
        settings.aggregate,
        settings.trees,
        settings.depth,
        **_shared(settings),
    )
    return _search(policy, settings)


def _shared(settings: StepSettings) -> dict[str, Any]:
    return {
        "tokens": settings.max_tokens,
        "unknown": settings.unknown,
        "stop_at_pass": settings.stop_at_pass,
        "choose": settings.choose,
    }


def _search(policy: StepByStep, settings: StepSettings) -> Graph:
    sampling = Sampling(
        max_tokens=settings.max_tokens,
        temperature=settings.temperature,
        top_p=settings.top_p,
        logprobs=0 if settings.logprobs else None,
    )
    solver = Solver(system=settings.system, sampling=sampling, delimiter=settings.delimiter, step_tokens=settings.step_tokens)
    node = search_node(
        policy,
        solver,
        settings.verifier,
        extract=settings.extract,
        width=settings.width,
        complete=completion_check(settings.complete),
    )
    return one_node(policy.name, node)
