"""An engine that answers from stored samples: it generates nothing, and invents nothing.

A sample is known by its prompt and its sampling without the seed, so that any method that only selects or stops finds what
it would have drawn. The samples of one key come in a random order that depends on the engine's order number and the key
alone: two engines with one number give two methods the same draws. What the pool does not hold fails, and is counted.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping, Sequence
from dataclasses import replace

from ..core.completion import Completion, Delta, Scores, Watch
from ..core.engine import Capabilities, EngineInfo, require
from ..core.errors import GenerationFailed
from ..core.ids import Json, derived_seed, json_hash
from ..core.prompt import Prompt
from ..core.sampling import Sampling
from ..core.stop import Stop
from .layer import NOTHING

_NOT_KEYED = ("seed", "logprobs")
"""Sampling fields that do not change which texts may come out."""
_KEPT = ("json_schema", "choice", "regex", "grammar", "steps", "token_prefix", "images", "reasoning")
"""What a recorded engine can do if the one it recorded could: a sample that fits was drawn under the same request."""
_TEMPLATE = 64
"""Tokens allowed for a chat template, and for each of its turns an eighth."""


def pool_key(prompt: Prompt, sampling: Sampling) -> str:
    """The name under which samples of a prompt under some sampling are stored."""
    return stored_key(prompt.to_json(), sampling.to_json())


def stored_key(prompt: Mapping[str, Json], sampling: Mapping[str, Json]) -> str:
    """`pool_key` from the plain forms of prompt and sampling."""
    how = {name: value for name, value in sampling.items() if name not in _NOT_KEYED}
    return f"{json_hash(prompt)}-{json_hash(how)}"


class RecordedEngine:
    """Answers from stored samples by prompt and sampling. A stored completion is given out once."""

    def __init__(self, samples: Mapping[str, Sequence[Completion]], *, info: EngineInfo, order: int = 0) -> None:
        """Make an engine.

        Args:
            samples: completions by `pool_key`, in the order in which they were drawn.
            info: of the engine that they were drawn from.
            order: number of the random order in which they are given out.
        """
        self._samples = samples
        self._order = order
        self._left: dict[str, list[Completion]] = {}
        """By key, what was not given out, the next one last."""
        self._prompt_tokens = {key.partition("-")[0]: drawn[0].tokens.prompt for key, drawn in samples.items() if drawn}
        self.beyond = 0
        """Calls that asked for what the pool does not hold."""
        self.served = 0
        """Calls that were answered."""
        able = {name: True for name in info.capabilities.names() if name in _KEPT}
        scored = bool(samples) and all(c.logprobs is not None for drawn in samples.values() for c in drawn)
        self.info = replace(
            info,
            kind="recorded",
            capabilities=Capabilities(logprobs=scored, abort=True, **able),
            settings={"recorded": info.kind, "order": order},
        )

    async def start(self) -> None:
        """Nothing needs to be made ready."""

    async def close(self) -> None:
        """Nothing is held."""

    def count_tokens(self, prompt: Prompt) -> int:
        """As the recorded engine counted, or for a prompt that it never saw an upper bound: its bytes, and some for the template.

        Such a prompt cannot be answered, so the bound only has to be safe.
        """
        counted = self._prompt_tokens.get(json_hash(prompt.to_json()))
        if counted is not None:
            return counted
        messages = prompt.messages or ()
        texts = sum(len(m.text.encode("utf-8", "surrogatepass")) + _TEMPLATE // 8 for m in messages)
        prefix = len(prompt.prefix_text.encode("utf-8", "surrogatepass")) + len(prompt.prefix_ids)
        return len(prompt.token_ids or ()) + texts + prefix + (_TEMPLATE if messages else 0)

    async def generate(
        self, prompt: Prompt, sampling: Sampling, *, watch: Watch | None = None, stop: Stop | None = None
    ) -> Completion:
        """The next sample of this prompt and sampling, at once. A watcher sees all of its text as one delta.

        Raises:
            GenerationFailed: the pool holds none (`not_in_pool`), no more (`pool_exhausted`), or not with the
                log-probabilities that are asked for (`logprobs_not_in_pool`).
            EngineUnavailable: the pool was drawn without log-probabilities, or by an engine that cannot do what is asked.
        """
        if stop is not None and stop.requested:
            return NOTHING
        require(self, (*sampling.needs, *prompt.needs), why="the call")
        # Gives way once, so that a search hears of what has landed and can stop the next sample before it is taken.
        await asyncio.sleep(0)
        if stop is not None and stop.requested:
            return NOTHING
        drawn = self._next(pool_key(prompt, sampling))
        completion = self._as_asked(drawn, sampling.logprobs)
        self.served += 1
        if watch is not None and watch(Delta(drawn.text, drawn.text, drawn.tokens.completion)):
            return replace(completion, finish_reason="aborted")
        return completion

    async def score(self, prompt: Prompt, continuations: Sequence[str | Sequence[int]]) -> list[Scores]:
        """Stored samples cannot be scored anew.

        Raises:
            EngineUnavailable: always.
        """
        require(self, ("scoring",), why="score")
        return []

    def _next(self, key: str) -> Completion:
        if key not in self._samples or not self._samples[key]:
            raise self._lacking("the pool holds no sample of this prompt and sampling", "not_in_pool")
        left = self._left.get(key)
        if left is None:
            left = self._left[key] = list(reversed(self._samples[key]))
            random.Random(derived_seed(self._order, key)).shuffle(left)
        if not left:
            raise self._lacking(f"all {len(self._samples[key])} samples of this prompt are used up", "pool_exhausted")
        return left.pop()

    def _as_asked(self, drawn: Completion, logprobs: int | None) -> Completion:
        """A sample with the log-probabilities that were asked for, and no others."""
        if logprobs is None:
            return replace(drawn, logprobs=None, top_logprobs=None)
        if logprobs == 0:
            return replace(drawn, top_logprobs=None)
        if drawn.top_logprobs is None or any(len(top) < logprobs for top in drawn.top_logprobs):
            raise self._lacking(f"the pool does not hold the {logprobs} likeliest tokens", "logprobs_not_in_pool")
        likeliest = tuple(dict(sorted(top.items(), key=lambda t: -t[1])[:logprobs]) for top in drawn.top_logprobs)
        return replace(drawn, top_logprobs=likeliest)

    def _lacking(self, message: str, code: str) -> GenerationFailed:
        self.beyond += 1
        return GenerationFailed(message, code=code, hint="draw a larger pool, or one with the same settings")
