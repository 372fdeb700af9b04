"""What a scripted engine is asked and what it may answer.

An answer depends on the prompt and the seed only, never on how many calls came before it: calls that arrive in another
order, or once more after a restart, get the same text.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TypeAlias

from ..core.completion import FinishReason
from ..core.errors import ConfigError
from ..core.ids import derived_seed, json_hash
from ..core.prompt import Prompt
from ..core.sampling import Sampling
from ..core.text import one_line
from . import vocabulary


@dataclass(frozen=True)
class Reply:
    """One scripted generation."""

    text: str = ""
    """The answer; what follows the prompt's prefix, if it has one."""
    reasoning: str = ""
    """Thought before the answer; its tokens come first."""
    token_logprobs: Sequence[float] | None = None
    """One for each token of reasoning and answer; None derives them from prompt and tokens."""
    top_logprobs: Sequence[Mapping[str, float]] | None = None
    """For each token of reasoning and answer the likeliest tokens, by their text, and their log-probabilities; None for
    the token alone."""
    latency: float | None = None
    """Seconds; None for the engine's."""
    finish_reason: FinishReason | None = None
    """None finds it out: `length` where max_tokens cuts, else `stop`."""
    error: Exception | None = None
    """Raised after the latency, in place of an answer."""
    tokens: int | None = None
    """Pretended number of tokens, for load tests with short texts (the completion then has no token ids); None counts them."""
    cached: int = 0
    """Prompt tokens that a prefix cache held."""

    def __post_init__(self) -> None:
        if self.tokens is not None and self.tokens < 0:
            raise ConfigError(f"a scripted reply has {self.tokens} tokens", hint="give 0 or more, or None to count them")


Answer: TypeAlias = str | Reply | Exception
Answers: TypeAlias = Answer | Sequence[Answer]
"""Of several answers the seed chooses: the one at position `seed` modulo their number."""


@dataclass(frozen=True, eq=False)
class Call:
    """One request, as a reply function sees it. What is costly is worked out when it is read."""

    prompt: Prompt
    sampling: Sampling

    @property
    def seed(self) -> int:
        """The call's seed; 0 if it has none."""
        return self.sampling.seed or 0

    @cached_property
    def text(self) -> str:
        """Text of the last message, or of the prompt's token ids."""
        if self.prompt.messages is not None:
            return self.prompt.messages[-1].text if self.prompt.messages else ""
        return vocabulary.decode(self.prompt.token_ids or ())

    @cached_property
    def prefix(self) -> str:
        """Text that the answer begins with already."""
        return self.prompt.prefix_text or vocabulary.decode(self.prompt.prefix_ids)

    @cached_property
    def key(self) -> str:
        """Hash of the prompt."""
        return json_hash(self.prompt.to_json())

    @cached_property
    def draw(self) -> float:
        """A number in [0, 1) that depends on prompt and seed only."""
        return derived_seed(self.seed, self.key) / 2**31

    @cached_property
    def random(self) -> random.Random:
        """A random generator that depends on prompt and seed only."""
        return random.Random(f"{self.seed} {self.key}")

    def rest(self, whole: str) -> str:
        """What of a whole answer follows the prefix; all of it where it does not begin so."""
        return whole.removeprefix(self.prefix)


Replies: TypeAlias = Callable[[Call], Answers] | Mapping[str, Answers] | Answers
"""A function of the call, a table, or answers to every prompt.

The keys of a table are looked for in the last message: one that is the whole of it, else the first that it contains; the
key `""` is contained in everything. Answers of a table are whole: behind a prefix they go on where it ends, and
of several, those that begin with the prefix are chosen from.
"""


def reply_function(replies: Replies) -> Callable[[Call], Reply]:
    """The one reply to each call.

    Raises:
        ConfigError: there is nothing to choose from.
    """
    if callable(replies):
        function = replies
        return lambda call: _chosen(call, _listed(function(call)))
    if isinstance(replies, Mapping):
        table = {key: _listed(answers) for key, answers in replies.items()}
        return lambda call: _continued(call, _looked_up(table, call.text))
    answers = _listed(replies)
    return lambda call: _continued(call, answers)


def _listed(answers: Answers) -> Sequence[Reply]:
    match answers:
        case Reply():
            return (answers,)
        case str():
            return (Reply(answers),)
        case Exception():
            return (Reply(error=answers),)
        case Sequence() if answers:
            return [_listed(answer)[0] for answer in answers]
        case _:
            raise ConfigError(
                f"a scripted reply is {_shown(answers)}",
                hint="give a text, a Reply, an exception, or a list of them that is not empty",
            )


def _shown(value: object) -> str:
    return "an empty list" if isinstance(value, Sequence) else f"a {type(value).__name__}"


def _chosen(call: Call, replies: Sequence[Reply]) -> Reply:
    return replies[call.seed % len(replies)]


def _continued(call: Call, replies: Sequence[Reply]) -> Reply:
    if not (call.prompt.prefix_ids or call.prompt.prefix_text):
        return _chosen(call, replies)
    reply = _chosen(call, [r for r in replies if r.text.startswith(call.prefix)] or replies)
    return replace(reply, text=call.rest(reply.text))


def _looked_up(table: Mapping[str, Sequence[Reply]], text: str) -> Sequence[Reply]:
    key = text if text in table else next((k for k in table if k in text), None)
    if key is None:
        raise ConfigError(f"no scripted reply is for the prompt {one_line(text)!r}", hint="give the key '' for all other prompts")
    return table[key]
