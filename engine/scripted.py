"""A deterministic engine for tests, examples and documentation, with chosen texts, latencies and failures.

    engine = ScriptedEngine({"capital of France": ["Paris", "Lyon"], "": "I do not know"})

Same prompt and seed, same text, in any order and in any process. With neither latency nor a shared capacity a call never
gives way to other tasks: that is for measuring what everything around an engine costs.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from ..core.completion import Completion, Delta, Scores, Watch
from ..core.engine import Capabilities, EngineInfo, Reward, require
from ..core.errors import ConfigError, EngineUnavailable, GenerationFailed
from ..core.ids import Json, canonical_json
from ..core.prompt import Prompt
from ..core.sampling import Sampling
from ..core.stop import Stop
from . import vocabulary
from .layer import NOTHING
from .paced import Capacity, Timed, follow
from .registry import SCRIPTED
from .replies import Answer, Answers, Call, Replies, Reply, reply_function
from .scoring import activated
from .script import Script, derived_logprobs

__all__ = ["CAPABILITIES", "Answer", "Answers", "Call", "Replies", "Reply", "ScriptedEngine"]

CAPABILITIES = SCRIPTED
"""What a scripted engine can do unless told otherwise. Other output constraints are refused because a reply need not
satisfy them; an engine given `json_schema` or `regex` checks each reply and fails the call where it does not."""


class ScriptedEngine:
    """Answers from a function, a table, or a list (`Replies`)."""

    def __init__(
        self,
        replies: Replies,
        *,
        latency: float | Callable[[Call], float] = 0.0,
        tokens_per_second: float | None = None,
        max_running: int | None = None,
        sequence_tokens_per_second: float | None = None,
        capabilities: Capabilities = CAPABILITIES,
        scores: Callable[[Prompt, str], Sequence[float]] | None = None,
        rewards: Callable[[Prompt, str], Sequence[float]] | None = None,
        model: str = "scripted",
        context_tokens: int | None = None,
        settings: Mapping[str, Json] | None = None,
        log: str | Path | None = None,
    ) -> None:
        """Make an engine.

        `latency` is in seconds; the tokens are spread over it, or come after it where `tokens_per_second` is given.
        `tokens_per_second` is what all calls share evenly, `max_running` how many decode at once (the others wait their
        turn), `sequence_tokens_per_second` the most that one call gets. `scores` gives the log-probability of
        each token of a continuation; without it they are made up. `rewards` gives the raw outputs of a reward model for an
        answer; without it there are none. `settings` are stored with the runs as part of what this engine is. To the
        file `log` each request that arrives is appended, as a line of JSON, and synced to the disk, before it is answered.

        Raises:
            ConfigError: a number out of range, or nothing to reply.
        """
        if not callable(latency) and not 0 <= latency < math.inf:
            raise ConfigError(f"latency is {latency}", hint="give seconds, 0 or more")
        if tokens_per_second is None and (max_running is not None or sequence_tokens_per_second is not None):
            raise ConfigError("max_running is given without tokens_per_second", hint="give tokens_per_second=20000 as well")
        self._reply = reply_function(replies)
        self._latency = latency
        self._pace = (tokens_per_second, max_running, sequence_tokens_per_second)
        self._capacity = self._new_capacity()
        capabilities = replace(capabilities, rewards=True) if rewards is not None else capabilities
        self._capabilities = capabilities
        self._scores, self._rewards = scores, rewards
        self._log = Path(log) if log is not None else None
        self.info = EngineInfo(
            kind="scripted",
            model=model,
            context_tokens=context_tokens,
            capabilities=capabilities,
            settings=dict(settings or {}),
        )
        self.calls = 0
        """Requests received."""

    async def start(self) -> None:
        """Nothing needs to be made ready."""

    async def close(self) -> None:
        """Forget the calls that were running."""
        self._capacity = self._new_capacity()

    def count_tokens(self, prompt: Prompt) -> int:
        """Tokens of all texts of the prompt, its prefix included."""
        if prompt.messages is None:
            tokens = len(prompt.token_ids or ())
        else:
            tokens = 0
            for message in prompt.messages:
                tokens += vocabulary.count(message.text)
        if prompt.prefix_text:
            tokens += vocabulary.count(prompt.prefix_text)
        return tokens + len(prompt.prefix_ids)

    def encode(self, text: str) -> tuple[int, ...]:
        """Token ids of a text by itself."""
        return vocabulary.encode(text)

    def decode(self, token_ids: Sequence[int]) -> str:
        """The text of token ids."""
        return vocabulary.decode(token_ids)

    async def generate(
        self, prompt: Prompt, sampling: Sampling, *, watch: Watch | None = None, stop: Stop | None = None
    ) -> Completion:
        """One sample. `watch` is called once for each token, those of the reasoning included."""
        if stop is not None and stop.requested:
            return NOTHING
        if needs := (*sampling.needs, *prompt.needs):
            require(self, needs, why="the call")
        if (most := self.info.context_tokens) is not None and (asked := self.count_tokens(prompt)) >= most:
            message = f"the prompt of {asked} tokens does not fit the context of {most}"
            raise GenerationFailed(message, code="context_length", hint="shorten the prompt")
        call = Call(prompt, sampling)
        self.calls += 1
        if self._log is not None:
            self._append(self._log, call)
        reply = self._reply(call)
        latency = reply.latency
        if latency is None:
            latency = self._latency(call) if callable(self._latency) else self._latency
        if reply.error is not None:
            if latency > 0 and await follow(Timed(1, latency), stop, None) == 0:
                return NOTHING
            raise reply.error.with_traceback(None)
        script = Script(call, reply)
        deltas = _Deltas(script, watch, stop) if watch is not None else None
        tokens = await self._decode(script, latency, deltas, stop)
        ended = tokens >= script.tokens and not (deltas is not None and deltas.stopped)
        reason = script.finish_reason if ended else "aborted"
        return script.completion(tokens, reason, self.count_tokens(prompt), ids=self._capabilities.token_prefix)

    async def score(self, prompt: Prompt, continuations: Sequence[str | Sequence[int]]) -> list[Scores]:
        """Chosen or made-up log-probabilities; made-up ones agree with those of `generate`."""
        require(self, ("scoring",), why="score")
        out: list[Scores] = []
        for continuation in continuations:
            ids = vocabulary.encode(continuation) if isinstance(continuation, str) else tuple(continuation)
            if self._scores is None:
                out.append(Scores(derived_logprobs(prompt, ids)))
            else:
                out.append(Scores(tuple(self._scores(prompt, vocabulary.decode(ids)))))
        return out

    async def reward(self, prompt: Prompt, answer: str, *, raw: bool) -> Reward:
        """Chosen outputs, under a sigmoid (one) or a softmax (several) unless they are wanted `raw`."""
        if self._rewards is None:
            raise EngineUnavailable(
                "the scripted engine gives no rewards", hint="ScriptedEngine(rewards=...)", code="unsupported"
            )
        self.calls += 1
        values = tuple(self._rewards(prompt, answer))
        return Reward(values if raw else activated(values), self.count_tokens(prompt) + vocabulary.count(answer))

    async def _decode(self, script: Script, latency: float, deltas: _Deltas | None, stop: Stop | None) -> int:
        """Let the time pass that the tokens take. Returns how many there are."""
        watch = deltas.up_to if deltas is not None else None
        arrived, capacity = script.tokens, self._capacity
        if capacity is None:
            if latency > 0:
                arrived = await follow(Timed(script.tokens, latency), stop, watch)
        else:
            if latency > 0 and await follow(Timed(1, latency), stop, None) == 0:
                return 0
            arrived = await follow(capacity.enter(script.tokens), stop, watch)
        if deltas is None or (stop is not None and stop.requested and not deltas.stopped):
            return arrived
        deltas.up_to(arrived)
        return deltas.tokens

    def _append(self, path: Path, call: Call) -> None:
        line = canonical_json({"key": call.key, "seed": call.sampling.seed, "time": time.time()})
        file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(file, line.encode() + b"\n")
            os.fsync(file)
        finally:
            os.close(file)

    def _new_capacity(self) -> Capacity | None:
        total, most, each = self._pace
        if total is None:
            return None
        return Capacity(total, math.inf if most is None else most, math.inf if each is None else each)


class _Deltas:
    """Tells a watcher token by token, so that it stops a generation at the same token however time runs."""

    def __init__(self, script: Script, watch: Watch, stop: Stop | None) -> None:
        self._script, self._watch, self._stop = script, watch, stop
        self._so_far = ""
        self.tokens = 0
        """Tokens told of."""
        self.stopped = False
        """Whether the watcher, or a stop that it asked for, ended the generation."""

    def up_to(self, tokens: int) -> bool:
        """Tell of tokens that have arrived; True once the generation is stopped."""
        while self.tokens < tokens and not self.stopped:
            self.tokens += 1
            before, self._so_far = self._so_far, "".join(self._script.parts(self.tokens))
            delta = Delta(self._so_far[len(before) :], self._so_far, self.tokens)
            self.stopped = bool(self._watch(delta)) or (self._stop is not None and self._stop.requested)
        return self.stopped
