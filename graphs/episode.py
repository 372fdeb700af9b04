"""The built-in graph whose agent acts in an environment: a whole episode is one candidate of a search."""

from __future__ import annotations

from typing import Any

from langgraph.runtime import Runtime

from ..agents.actor import Actor
from ..agents.critic import Critic
from ..core.context import Context
from ..core.sampling import Sampling
from ..environments.registry import environment_maker
from ..environments.reward import EnvironmentReward
from ..search.iad import IAD
from .builtin import Graph, one_node
from .episode_settings import EpisodeSettings
from .nodes import search_node


def episode(settings: EpisodeSettings) -> Graph:
    """Attempts in an environment, side by side and in rounds; the best is returned."""
    names = ("n0", "rounds", "per_round", "move", "rejected", "patience", "target", "stop_at_pass")
    policy = IAD(name="episode", **{name: getattr(settings, name) for name in names})
    actor = _actor(settings)

    def search(verifier: Any) -> Any:
        return search_node(policy, actor, verifier, extract=settings.extract, width=settings.width)

    chosen, reward = search(settings.verifier), search(EnvironmentReward(environment=actor.environment))

    async def node(state: Any, runtime: Runtime[Context]) -> dict[str, Any]:
        none_named = settings.verifier == "task" and runtime.context.task.verifier is None
        return await (reward if none_named else chosen)(state, runtime)

    return one_node("episode", node)


def _actor(settings: EpisodeSettings) -> Actor:
    return Actor(
        environment=environment_maker(settings.env),
        steps=settings.steps,
        system=settings.system,
        sampling=Sampling(
            max_tokens=settings.max_tokens,
            temperature=settings.temperature,
            top_p=settings.top_p,
            logprobs=0 if settings.logprobs else None,
        ),
        longest=settings.observation_chars,
        history=settings.history_chars,
        shown=settings.attempt_chars,
        seconds=settings.step_seconds,
        feedback=settings.feedback,
        critic=Critic(sampling=Sampling(max_tokens=settings.critic_tokens, temperature=0.3)),
    )
