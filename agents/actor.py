"""The actor: works on a task by acting in an environment, turn by turn, in the manner of ReAct (arXiv 2210.03629).

A turn is one model call and one action. A reply is read strictly: it must contain exactly one action, whole; any other reply
is answered by an observation that says what was expected, and costs a turn. As a proposer it makes one completion out of
an episode: the text is the episode's answer, the reasoning its transcript. An episode that runs out of steps has no answer.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ..core.candidate import Candidate
from ..core.completion import Completion, TokenCounts
from ..core.context import Context
from ..core.engine import Engine
from ..core.environment import Maker, Observation, Tool
from ..core.errors import ConfigError, GenerationFailed
from ..core.prompt import Message, Prompt
from ..core.proposer import Proposal
from ..core.sampling import Sampling
from ..core.verdict import Verdict
from .critic import Critic
from .episode import Episode, cut
from .feedback import Mode, direction, scored, without_reference
from .templates import fill, load

_ACTION = re.compile(r"^[ \t]*Action:", re.MULTILINE | re.IGNORECASE)
_FENCE = re.compile(r"```\w*\n(.*?)\n?```", re.DOTALL)
_STOP = "\nObservation:"


class Malformed(Exception):
    """A reply that is not one action; the message says what is wrong."""


def read_action(completion: Completion) -> str:
    """The one action of a reply: what stands behind `Action:`, up to the end, without a fence around it.

    Raises:
        Malformed: there is none, more than one, or one that may have been cut.
    """
    if completion.finish_reason == "length":
        raise Malformed("your reply was too long and was cut")
    parts = _ACTION.split(completion.text)
    if len(parts) == 1:
        raise Malformed('your reply has no line that begins with "Action:"')
    if len(parts) > 2:
        raise Malformed("your reply has more than one action: give one at a time and wait for what it shows")
    action = parts[1].strip()
    if fenced := _FENCE.fullmatch(action):
        action = fenced[1].strip()
    if not action:
        raise Malformed('nothing stands behind "Action:"')
    return action


@dataclass(frozen=True, kw_only=True)
class Turn:
    """A reply of the model, and what was seen after it."""

    reply: str
    seen: Observation

    def __str__(self) -> str:
        return f"{self.reply}\nObservation: {self.seen.text}"


@dataclass(frozen=True, kw_only=True)
class Played:
    """What an episode came to."""

    answer: str
    """Empty where the steps ran out first."""
    turns: Sequence[Turn]
    tokens: TokenCounts
    """Of all calls together."""
    cost_usd: float = 0.0

    @property
    def transcript(self) -> str:
        """Replies and observations as text."""
        return "\n".join(map(str, self.turns))


@dataclass(frozen=True, kw_only=True)
class Actor:
    """Acts in an environment. A rewrite (`refine`) is another episode that is told of earlier ones."""

    environment: Maker
    """Makes a fresh environment for each episode."""
    steps: int = 10
    """Most turns of an episode."""
    system: str = ""
    """System text; empty for none."""
    sampling: Sampling = field(default_factory=lambda: Sampling(max_tokens=256))
    """Settings of each turn, under which the task's own (`task.sampling`) and an expansion's go."""
    role: str = "proposer"
    """Role whose engine acts."""
    longest: int = 2000
    """Most characters of one observation."""
    history: int = 12_000
    """Most characters of earlier turns that the model sees; older ones, and those that do not fit into its context, are left
    out, with a mark."""
    shown: int = 4000
    """Most characters of an earlier attempt that the next one is shown."""
    seconds: float = 300.0
    """Seconds that the environment may take for one step; more is a failure of the episode."""
    feedback: Mode = "directional"
    """What a further attempt is told of the earlier ones."""
    critic: Critic = field(default_factory=Critic)
    """Who criticises an attempt, where the mode asks for it."""
    template: str = field(default_factory=lambda: load("act"))
    """Fields `question`, `tools`, `example`, `notes`, `first`."""
    attempt: str = field(default_factory=lambda: load("act_attempt"))
    """Template of an earlier attempt: fields `which`, `judged`, `attempt`."""

    def __post_init__(self) -> None:
        for name in ("steps", "longest", "history", "shown"):
            if getattr(self, name) < 1:
                raise ConfigError(f"actor: {name} is {getattr(self, name)}", hint="at least 1")

    async def propose(self, ctx: Context, proposal: Proposal) -> Completion:
        """One episode, as the search driver asks for it."""
        kind, notes = proposal.expansion.kind, ""
        if kind == "refine" and proposal.parents:
            notes = await self._notes(ctx, proposal)
        elif kind != "fresh":
            raise GenerationFailed(f"an episode cannot be a {kind} candidate", code="unknown_kind")
        played = await self.act(ctx, notes=notes, sampling=proposal.expansion.sampling)
        return Completion(text=played.answer, reasoning=played.transcript, tokens=played.tokens, cost_usd=played.cost_usd)

    async def act(self, ctx: Context, *, notes: str = "", sampling: Mapping[str, Any] | None = None) -> Played:
        """Play one episode; `ctx` should be a scope of its own, `notes` are told before the first turn.

        Raises:
            GenerationFailed: the environment or a call failed; there is no episode.
        """
        settings = self.sampling.but(**{**ctx.task.sampling, **(sampling or {})})
        settings = settings.but(stop=tuple(dict.fromkeys((*settings.stop, _STOP))))
        turns, tokens, cost = list[Turn](), TokenCounts(), 0.0
        engine = ctx.engine(self.role)
        async with Episode(ctx, self.environment, longest=self.longest, seconds=self.seconds) as episode:
            seen = await episode.reset()
            opening = self._opening(ctx, episode, seen, notes)
            while not seen.done and len(turns) < self.steps:
                prompt = self._prompt(opening, turns, lambda asked: _fits(engine, asked, settings.max_tokens))
                said = await ctx.generate(prompt, settings, role=self.role, key=f"turn{len(turns)}")
                tokens, cost = tokens + said.tokens, cost + said.cost_usd
                try:
                    seen = await episode.step(read_action(said))
                except Malformed as e:
                    seen = Observation(text=f"Nothing was done: {e}.", refused=True)
                turns.append(Turn(reply=said.text.strip(), seen=seen))
        return Played(answer=seen.answer, turns=turns, tokens=tokens, cost_usd=cost)

    def _opening(self, ctx: Context, episode: Episode, first: Observation, notes: str) -> tuple[Message, ...]:
        """The task's messages, with the rules and the first observation behind the question."""
        tools = episode.environment.tools
        text = fill(
            self.template,
            question=ctx.task.prompt,
            tools="\n".join(map(_listed, tools)),
            example=tools[0].usage if tools else "",
            notes=notes + "\n\n" if notes else "",
            first=f"Observation: {first.text}",
        )
        return (*(ctx.task.chat(self.system).messages or ())[:-1], Message("user", text))

    def _prompt(self, opening: tuple[Message, ...], turns: Sequence[Turn], fits: Callable[[Prompt], bool]) -> Prompt:
        """The dialogue so far, without the oldest turns where `history` or the engine has no room for all; the last stays."""
        for out in range(len(turns) - 1):
            prompt = self._without(opening, turns, out)
            if sum(len(t.reply) + len(t.seen.text) for t in turns[out:]) <= self.history and fits(prompt):
                return prompt
        return self._without(opening, turns, max(0, len(turns) - 1))

    def _without(self, opening: tuple[Message, ...], turns: Sequence[Turn], out: int) -> Prompt:
        """The dialogue without the oldest `out` turns, which leave a mark."""
        if out:
            opening = (*opening[:-1], _marked(opening[-1], out))
        return Prompt((*opening, *self._dialogue(turns[out:], out)))

    def _dialogue(self, turns: Sequence[Turn], out: int) -> Iterator[Message]:
        for number, turn in enumerate(turns, out + 1):
            left = self.steps - number
            yield Message("assistant", turn.reply)
            yield Message("user", f"Observation: {turn.seen.text}\n({left} {'step' if left == 1 else 'steps'} left)")

    async def _notes(self, ctx: Context, proposal: Proposal) -> str:
        """What is told of the earlier attempts: the best one, a rejected one, and what was said of them."""
        said = dict(zip((p.id for p in proposal.parents), proposal.verdicts, strict=True))
        best = proposal.parents[0]
        rejected = next((p for p in proposal.parents[1:] if p.id != best.id), None)
        ours = without_reference(said[best.id], ctx.task, best)
        theirs = without_reference(said[rejected.id], ctx.task, rejected) if rejected else None
        notes = [self._shown("The best", best, ours)]
        if rejected and self.feedback != "none":
            notes.append(self._shown("A rejected", rejected, theirs))
        if "directional" in self.feedback:
            notes.append(direction(ours, theirs))
        if "critique" in self.feedback and (critique := await self._critique(ctx, best)):
            notes.append(f"A critic says of the best attempt: {critique}")
        if len({p.answer or p.text for p in proposal.parents}) < len(proposal.parents):
            notes.append("More than one attempt came to the same: do something else.")
        notes.append("This is another attempt, from the beginning: do better.")
        return "\n\n".join(note for note in notes if note)

    async def _critique(self, ctx: Context, candidate: Candidate) -> str:
        try:
            return await self.critic(ctx, replace(candidate, text=cut(candidate.reasoning, self.shown)), key="critique")
        except GenerationFailed:
            return ""

    def _shown(self, which: str, candidate: Candidate, verdict: Verdict | None) -> str:
        told = scored(verdict) if self.feedback in ("scalar", "directional", "directional+critique") else ""
        judged = "; ".join(t for t in ("" if candidate.text else "it did not come to an end", told) if t)
        text = cut(candidate.reasoning, self.shown)
        return fill(self.attempt, which=which, judged=f" ({judged})" if judged else "", attempt=text)


def _fits(engine: Engine, prompt: Prompt, most: int) -> bool:
    """Whether the engine has room for a prompt and as long an answer as it may give."""
    room = engine.info.context_tokens
    return room is None or engine.count_tokens(prompt) + most <= room


def _marked(opening: Message, out: int) -> Message:
    return Message(opening.role, f"{opening.text}\n\n[{out} earlier turns are left out here]")


def _listed(tool: Tool) -> str:
    return f"- {tool.usage}: {tool.about}"
