"""The built-in graphs that refine in rounds: one policy, one refiner, three presets of both."""

from __future__ import annotations

from typing import Any

from ..agents.critic import Critic
from ..agents.feedback import Mode
from ..agents.refiner import Control, Refiner
from ..core.sampling import Sampling
from ..search.iad import IAD
from .builtin import Graph, one_node
from .iad_settings import IadSettings, RefineSettings, SelfRefineSettings, SequentialRevisionSettings
from .nodes import search_node


def iad(settings: IadSettings) -> Graph:
    """Rounds of candidates made with what was said of the best and of a rejected one; the best is returned."""
    policy = IAD(
        **_shared(settings),
        move=settings.move,
        min_delta=settings.min_delta,
        accept_ties=settings.accept_ties,
        rejected=settings.rejected,
        patience=settings.patience,
    )
    return _search(policy, settings, settings.feedback, settings.control)


def self_refine(settings: SelfRefineSettings) -> Graph:
    """The newest answer, criticised by the model and rewritten, again and again; the last is returned."""
    policy = IAD(**_shared(settings), base="last", choose="last", rejected="none", name="self_refine")
    return _search(policy, settings, "critique")


def sequential_revision(settings: SequentialRevisionSettings) -> Graph:
    """Each answer made behind the one before, without feedback; the best of all is returned."""
    policy = IAD(**_shared(settings), base="last", rejected="none", name="sequential_revision")
    return _search(policy, settings, "none")


def _shared(settings: RefineSettings) -> dict[str, Any]:
    first = {} if settings.temperature0 is None else {"temperature": settings.temperature0}
    names = ("n0", "rounds", "per_round", "target", "stop_at_pass")
    return {"first": first, **{name: getattr(settings, name) for name in names}}


def _search(policy: IAD, settings: RefineSettings, feedback: Mode, control: Control = "none") -> Graph:
    sampling = Sampling(
        max_tokens=settings.max_tokens,
        temperature=settings.temperature,
        top_p=settings.top_p,
        logprobs=0 if settings.logprobs else None,
    )
    critic = Critic(sampling=Sampling(max_tokens=settings.critic_tokens, temperature=0.3))
    refiner = Refiner(
        system=settings.system, sampling=sampling, feedback=feedback, layout=settings.layout, control=control, critic=critic
    )
    node = search_node(policy, refiner, settings.verifier, extract=settings.extract, width=settings.width)
    return one_node(policy.name, node)
