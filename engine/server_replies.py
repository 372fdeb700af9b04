"""From the answers of a chat-completions server to a completion.

An answer is taken as the protocol says it, or not at all: one without an end is not finished, an end that has no known
name is no `stop`, and what is no number is no log-probability.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from ..core.completion import Completion, FinishReason, TokenCounts
from ..core.errors import GenerationFailed
from ..core.sampling import Sampling
from ..core.text import one_line
from .server_errors import bad_response, interrupted

FINISH: Mapping[str, FinishReason] = {
    "stop": "stop",
    "length": "length",
    "abort": "aborted",
    "repetition": "length",  # vLLM cut it while it went in circles: no end of its own
}
_MOST = 2**31
_TOKEN_ID = "token_id:"
"""How vLLM names a token by its number."""


@dataclass
class Collected:
    """What has come in of one answer."""

    text: str = ""
    reasoning: str = ""
    refused: str = ""
    finish: str | None = None
    stop_text: str | None = None
    """The stop text that ended it, which only vLLM names; None if none did."""
    ids: list[int] = field(default_factory=list[int])
    named: bool = False
    """Whether the server names the tokens by their ids."""
    logprobs: list[float] = field(default_factory=list[float])
    likeliest: list[dict[int, float]] = field(default_factory=list[dict[int, float]])
    usage: Mapping[str, Any] = field(default_factory=dict[str, Any])
    pieces: int = 0
    """Pieces that held text."""

    def add(self, answer: Mapping[str, Any]) -> str:
        """Take in a whole answer, or a piece of one; returns the text that came.

        Raises:
            GenerationFailed: it is not what the protocol says.
        """
        if isinstance(usage := answer.get("usage"), Mapping):
            self.usage = cast("Mapping[str, Any]", usage)
        choices: Any = answer.get("choices")
        if not isinstance(choices, list):
            raise bad_response("it has no choices")
        if not choices:
            return ""
        choice = _mapping(cast("list[Any]", choices)[0], "a choice")
        part = _mapping(choice.get("delta") or choice.get("message") or {}, "a message")
        thought = _text(part.get("reasoning") or part.get("reasoning_content"))
        text = _text(part.get("content"))
        self.text += text
        self.reasoning += thought
        self.refused += _text(part.get("refusal"))
        self.pieces += bool(text or thought)
        self._tokens(choice)
        if (ended := choice.get("finish_reason")) is not None:
            self.finish = one_line(str(ended), 80)
            named = choice.get("stop_reason")
            self.stop_text = named if isinstance(named, str) else None
        return thought + text

    @property
    def so_far(self) -> str:
        """All generated text."""
        return self.reasoning + self.text

    @property
    def prompt(self) -> int | None:
        """Tokens of the prompt; None if the server does not say."""
        return _count(self.usage, "prompt_tokens")

    @property
    def generated(self) -> int:
        """Tokens generated so far: as the server counts them, else one for each that it named, else one a piece."""
        counted = _count(self.usage, "completion_tokens")
        return counted if counted is not None else max(len(self.ids), len(self.logprobs)) or self.pieces

    def completion(self, sampling: Sampling, *, prompt_tokens: int, stopped: bool) -> Completion:
        """The completion. `prompt_tokens` is counted where the server does not say.

        Raises:
            GenerationFailed: the answer is incomplete, or ended in a way that is no end.
        """
        reason = "aborted" if stopped else self._reason()
        least = max(len(self.ids), min(self.generated, 1))
        if reason != "aborted" and sampling.logprobs is not None and len(self.logprobs) < least:
            raise bad_response("log-probabilities are missing")
        completed = _details(self.usage, "completion_tokens_details")
        counts = TokenCounts(
            prompt=prompt_tokens if self.prompt is None else self.prompt,
            cached=_count(_details(self.usage, "prompt_tokens_details"), "cached_tokens") or 0,
            completion=self.generated,
            reasoning=_count(completed, "reasoning_tokens") or 0,
        )
        return Completion(
            text=self.text,
            finish_reason=reason,
            reasoning=self.reasoning,
            token_ids=tuple(self.ids) if self.named else None,
            logprobs=None if sampling.logprobs is None else tuple(self.logprobs),
            top_logprobs=tuple(self.likeliest) if sampling.logprobs else None,
            tokens=counts,
        )

    def _reason(self) -> FinishReason:
        if self.refused and not self.text:
            raise GenerationFailed(f"the model refuses: {one_line(self.refused, 200)}", code="refused", hint="change the prompt")
        if self.finish is None:
            raise interrupted("no end came") if self.pieces else bad_response("it has no choices")
        if self.finish == "content_filter":
            raise GenerationFailed("the server's filter stopped the answer", code="content_filter", hint="change the prompt")
        if self.finish not in FINISH:
            raise GenerationFailed(f"the server ended the answer with {self.finish!r}", code="bad_response", retryable=True)
        return "boundary" if self.finish == "stop" and self.stop_text is not None else FINISH[self.finish]

    def _tokens(self, choice: Mapping[str, Any]) -> None:
        if isinstance(ids := choice.get("token_ids"), list):
            self.named = True
            self.ids += [_whole(i) for i in cast("list[Any]", ids)]
        found: Any = choice.get("logprobs")
        for entry in _list(_mapping(found, "logprobs").get("content") if found else None):
            entry = _mapping(entry, "a log-probability")
            self.logprobs.append(_number(entry.get("logprob")))
            self.likeliest.append(_by_id(_list(entry.get("top_logprobs"))))


def _by_id(entries: Sequence[Any]) -> dict[int, float]:
    named = [(str(e.get("token", "")), e) for e in (_mapping(e, "a log-probability") for e in entries)]
    return {
        int(token.removeprefix(_TOKEN_ID)): _number(entry.get("logprob"))
        for token, entry in named
        if token.startswith(_TOKEN_ID) and token.removeprefix(_TOKEN_ID).isdecimal()
    }


def _mapping(value: Any, what: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise bad_response(f"{what} is a {type(value).__name__}")
    return cast("Mapping[str, Any]", value)


def _list(value: Any) -> list[Any]:
    if value is not None and not isinstance(value, list):
        raise bad_response(f"a {type(value).__name__} in place of a list")
    return cast("list[Any]", value or [])


def _text(value: Any) -> str:
    if value is not None and not isinstance(value, str):
        raise bad_response(f"the text is a {type(value).__name__}")
    return value or ""


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise bad_response("a log-probability is no number")
    return float(value)


def _whole(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < _MOST:
        raise bad_response("a token id is no number")
    return value


def _count(usage: Mapping[str, Any], name: str) -> int | None:
    value = usage.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _MOST else None


def _details(usage: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = usage.get(name)
    return cast("Mapping[str, Any]", value) if isinstance(value, Mapping) else {}
