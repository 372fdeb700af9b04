"""One scripted generation, worked out: what the sampling settings make of a reply, and what there is of it at each token."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable

from ..core.completion import Completion, FinishReason, TokenCounts
from ..core.errors import ConfigError, GenerationFailed
from ..core.ids import json_hash
from ..core.prompt import Prompt
from ..core.sampling import Sampling
from . import vocabulary
from .replies import Call, Reply


class Script:
    """The tokens that a call gives, cut where stop texts and limits cut them."""

    def __init__(self, call: Call, reply: Reply) -> None:
        sampling = call.sampling
        self._call, self._reply = call, reply
        text, stopped = _until(_constrained(call, reply.text), sampling.stop, keep=sampling.keep_stop)
        reasoning = reply.reasoning
        if reasoning and sampling.thinking_tokens is not None:
            reasoning = "".join(vocabulary.split(reasoning)[: sampling.thinking_tokens])
        self.reasoning, self.text = reasoning, text
        if reply.tokens is None:
            self._thought = vocabulary.count(reasoning) if reasoning else 0
            whole = self._thought + vocabulary.count(text)
        else:
            whole = reply.tokens
            self._thought = whole * len(reasoning) // max(1, len(reasoning) + len(text))
        self.tokens = min(whole, sampling.max_tokens)
        """Tokens until the end."""
        cut: FinishReason = "length" if self.tokens < whole else "boundary" if stopped else "stop"
        self.finish_reason: FinishReason = cut if cut != "stop" else reply.finish_reason or cut
        """Why it ends where nobody stops it."""
        self._whole = whole
        self._pieces: tuple[list[str], list[str]] | None = None

    def parts(self, tokens: int) -> tuple[str, str]:
        """Reasoning and answer when so many tokens are there."""
        if tokens >= self._whole:
            return self.reasoning, self.text
        if self._reply.tokens is not None:
            letters = (len(self.reasoning) + len(self.text)) * tokens // self._whole
            return self.reasoning[:letters], self.text[: max(0, letters - len(self.reasoning))]
        if self._pieces is None:
            self._pieces = vocabulary.split(self.reasoning), vocabulary.split(self.text)
        thoughts, words = self._pieces
        return "".join(thoughts[:tokens]), "".join(words[: max(0, tokens - self._thought)])

    def completion(self, tokens: int, finish_reason: FinishReason, prompt_tokens: int, *, ids: bool) -> Completion:
        """What there is after so many tokens."""
        reply, sampling = self._reply, self._call.sampling
        reasoning, text = self.parts(tokens)
        thought = min(self._thought, tokens)
        known = reply.tokens is None and (ids or sampling.logprobs is not None)
        token_ids = vocabulary.encode(reasoning) + vocabulary.encode(text) if known else None
        logprobs = None if sampling.logprobs is None else self._logprobs(tokens, token_ids)
        top = None
        if sampling.logprobs and logprobs is not None and token_ids is not None:
            top = self._likeliest(tokens, sampling.logprobs) or tuple(
                {token: logprob} for token, logprob in zip(token_ids, logprobs, strict=True)
            )
        return Completion(
            text,
            finish_reason,
            reasoning,
            token_ids=token_ids if ids else None,
            logprobs=logprobs,
            top_logprobs=top,
            tokens=TokenCounts(prompt_tokens, min(reply.cached, prompt_tokens), tokens, thought),
        )

    def _likeliest(self, tokens: int, most: int) -> tuple[dict[int, float], ...] | None:
        given = self._reply.top_logprobs
        if given is None:
            return None
        if len(given) < tokens or any(vocabulary.count(text) != 1 for likely in given for text in likely):
            raise ConfigError(
                f"the top_logprobs of a scripted reply do not fit its {tokens} tokens",
                hint="give for each token of reasoning and answer an object from single tokens to log-probabilities",
            )
        ranked = (sorted(likely.items(), key=lambda entry: -entry[1])[:most] for likely in given[:tokens])
        return tuple({vocabulary.encode(text)[0]: logprob for text, logprob in likely} for likely in ranked)

    def _logprobs(self, tokens: int, ids: tuple[int, ...] | None) -> tuple[float, ...]:
        given = self._reply.token_logprobs
        if given is None:
            return derived_logprobs(self._call.prompt, range(tokens) if ids is None else ids)
        if len(given) < tokens:
            raise ConfigError(
                f"a scripted reply has {len(given)} log-probabilities for {tokens} tokens",
                hint="give one for each token of reasoning and answer, or none",
            )
        return tuple(given[:tokens])


def derived_logprobs(prompt: Prompt, ids: Iterable[int]) -> tuple[float, ...]:
    """Log-probabilities of tokens behind a prompt and its prefix: made up, and always the same."""
    dialogue = Prompt(prompt.messages, prompt.token_ids)
    first = len(prompt.prefix_ids) or vocabulary.count(prompt.prefix_text)
    key = json_hash(dialogue.to_json())
    return tuple(_logprob(f"{key} {at} {token}") for at, token in enumerate(ids, first))


def _logprob(key: str) -> float:
    share = int.from_bytes(hashlib.blake2b(key.encode(), digest_size=6).digest(), "big") / 2**48
    return -4 * share**3


def _until(text: str, stops: tuple[str, ...], *, keep: bool) -> tuple[str, bool]:
    """The text before the first stop text, or with it, and whether there was one."""
    found = [(at, at + len(stop)) for stop in stops if stop and (at := text.find(stop)) >= 0] if stops else ()
    if not found:
        return text, False
    begin, end = min(found)
    return text[: end if keep else begin], True


def _constrained(call: Call, text: str) -> str:
    """The reply under the output constraint, if any: a choice is made, all else the reply must satisfy itself."""
    sampling = call.sampling
    if not sampling.constraints:
        return text
    if sampling.choice is not None:
        whole = call.prefix + text
        fits = text if whole in sampling.choice else None
        return call.rest(sampling.choice[int(call.draw * len(sampling.choice))]) if fits is None else fits
    if not _satisfies(call.prefix + text, sampling):
        raise GenerationFailed(
            f"the scripted reply does not satisfy the {sampling.constraints[0]} that was asked for",
            code="constraint",
            hint="script a reply that does",
        )
    return text


def _satisfies(text: str, sampling: Sampling) -> bool:
    if sampling.regex is not None:
        return re.fullmatch(sampling.regex, text) is not None
    if sampling.json_schema is None:
        return False
    import json

    import jsonschema

    try:
        jsonschema.validate(json.loads(text), dict(sampling.json_schema))
    except (ValueError, jsonschema.ValidationError):
        return False
    return True
