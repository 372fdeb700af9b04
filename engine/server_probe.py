"""What a server can do, found out by asking it: which models it has, whether it is vLLM, which fields it honours.

A field counts as honoured when its effect is seen: log-probabilities that came, an answer that kept to a schema that no
model would keep to by itself. A server that only does not complain has shown nothing.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol, TypeVar, cast

from ..core.engine import Capabilities
from ..core.errors import BurnishError, ConfigError, EngineUnavailable, GenerationFailed
from ..core.text import one_line
from .server_replies import Collected

T = TypeVar("T")

_TOKENS, _ATTEMPTS, _LONGEST_WAIT_S = 8, 3, 30.0
_SHOW_NOTHING = ("unauthorized", "quota", "rate_limited", "timeout", "connection", "unreachable")
_ASK: list[dict[str, str]] = [{"role": "user", "content": "Say hello."}]
_ODD = "burnish"
"""A word that no model begins its hello with."""
_SCHEMA = {"type": "object", "properties": {_ODD: {"type": "boolean"}}, "required": [_ODD], "additionalProperties": False}


@dataclass(frozen=True, kw_only=True)
class Features:
    """What one model of one server was seen to do."""

    limit: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    """The field that limits the answer's length."""
    vllm: str = ""
    """Version of vLLM; empty for any other server."""
    stream: bool = False
    """Sends an answer in pieces, so that it can be stopped half-way."""
    seed: bool = False
    logprobs: bool = False
    json_schema: bool = False
    guided: bool = False
    """vLLM's structured outputs: choice, regex, grammar."""
    reasoning: bool = False
    prefix_cache: bool = False

    def capabilities(self) -> Capabilities:
        """As the engine's capabilities. Only of vLLM is it known that the same seed gives the same text."""
        return Capabilities(
            logprobs=self.logprobs,
            json_schema=self.json_schema,
            choice=self.guided,
            regex=self.guided,
            grammar=self.guided,
            seed=self.seed and bool(self.vllm),
            prefix_cache=self.prefix_cache,
            steps=bool(self.vllm),
            abort=self.stream,
            reasoning=self.reasoning,
        )


@dataclass(frozen=True)
class Served:
    """The model that a server serves."""

    model: str
    context_tokens: int | None
    """Most tokens of prompt and answer together; None if the server does not say."""
    of_vllm: bool
    """Whether the entry says that vLLM owns it."""


class Asked(Protocol):
    """What a probe needs of a connection."""

    async def get(self, path: str) -> Any: ...
    async def post(self, body: Mapping[str, Any]) -> Mapping[str, Any]: ...
    def stream(self, body: Mapping[str, Any]) -> Any: ...


async def served(connection: Asked, model: str | None) -> Served:
    """The model that is asked for, or the only one that there is.

    Raises:
        ConfigError: there is no such model, or several to choose from.
        EngineUnavailable, GenerationFailed: the server does not answer as it should.
    """
    listed = await connection.get("/models")
    entries: Any = cast("Mapping[str, Any]", listed).get("data") if isinstance(listed, Mapping) else None
    if not isinstance(entries, list):
        hint = "base_url is that of the OpenAI protocol, as in http://127.0.0.1:8000/v1"
        raise EngineUnavailable("the server's list of models is none", hint=hint, code="bad_response")
    found = [cast("Mapping[str, Any]", e) for e in cast("list[Any]", entries) if isinstance(e, Mapping)]
    by_name = {e["id"]: e for e in found if isinstance(e.get("id"), str)}
    names = one_line(", ".join(by_name), 400) or "none"
    if model is None and len(by_name) != 1:
        raise ConfigError(f"the server has {len(by_name)} models", hint=f"name one: --model NAME; there are: {names}")
    name = next(iter(by_name)) if model is None else model
    if name not in by_name:
        raise ConfigError(f"the server has no model {name!r}", hint=f"there are: {names}")
    context = by_name[name].get("max_model_len")
    known = context if isinstance(context, int) and context > 0 else None
    return Served(name, known, by_name[name].get("owned_by") == "vllm")


async def probe(connection: Asked, model: Served, root: str) -> Features:
    """What the server can do with a model. Costs about six calls of a few tokens.

    Raises:
        EngineUnavailable: it does not even complete a plain call.
    """
    version = await _version(connection, root) if model.of_vllm else ""
    base: dict[str, Any] = {"model": model.model, "messages": _ASK, "temperature": 0.0}
    features = replace(await _limited(connection, base), vllm=version)
    base[features.limit] = _TOKENS
    streamed, seen, seeded, json_schema, guided, cached = await asyncio.gather(
        _works(lambda: _streamed(connection, base)),
        _works(lambda: _logprobs(connection, base)),
        _works(lambda: _answered(connection, base, {"seed": 7})),
        _works(lambda: _kept_to_schema(connection, base)),
        _works(lambda: _kept_to_choice(connection, base)) if version else _no(),
        _works(lambda: _caches(connection, root)) if version else _no(),
    )
    return replace(
        features,
        stream=streamed is not None,
        reasoning=bool(streamed and streamed.reasoning),
        logprobs=bool(seen),
        seed=bool(seeded),
        json_schema=bool(json_schema),
        guided=bool(guided),
        prefix_cache=bool(cached),
    )


async def _version(connection: Asked, root: str) -> str:
    answer = await _works(lambda: connection.get(f"{root}/version"))
    version = cast("Mapping[str, Any]", answer).get("version") if isinstance(answer, Mapping) else None
    return one_line(version, 40) if isinstance(version, str) else ""


async def _limited(connection: Asked, base: Mapping[str, Any]) -> Features:
    """The field that limits an answer: the first, in the order of how common they are, that a plain call is taken with."""
    names: tuple[Literal["max_tokens", "max_completion_tokens"], ...] = ("max_tokens", "max_completion_tokens")
    why: GenerationFailed | None = None
    for name in names:
        try:
            await _patient(lambda name=name: _answered(connection, base, {name: _TOKENS}))
            return Features(limit=name)
        except GenerationFailed as e:
            why = why or e
            if e.code != "bad_request":
                break
    assert why is not None
    raise EngineUnavailable(f"a plain call fails: {why.message}", hint=why.hint, code=why.code) from None


async def _answered(connection: Asked, base: Mapping[str, Any], more: Mapping[str, Any]) -> Collected:
    collected = Collected()
    collected.add(await connection.post({**base, **more}))
    if collected.finish is None:
        raise GenerationFailed("its answer has no choices", code="bad_response")
    return collected


async def _streamed(connection: Asked, base: Mapping[str, Any]) -> Collected:
    collected = Collected()
    more = {"stream": True, "stream_options": {"include_usage": True}}
    async with aclosing(connection.stream({**base, **more})) as pieces:
        async for piece in pieces:
            collected.add(piece)
    if collected.finish is None:
        raise GenerationFailed("its answer does not come in pieces", code="bad_response")
    return collected


async def _logprobs(connection: Asked, base: Mapping[str, Any]) -> bool:
    return bool((await _answered(connection, base, {"logprobs": True, "top_logprobs": 1})).logprobs)


async def _kept_to_schema(connection: Asked, base: Mapping[str, Any]) -> bool:
    schema = {"type": "json_schema", "json_schema": {"name": "answer", "schema": _SCHEMA, "strict": True}}
    answer = await _answered(connection, base, {"response_format": schema})
    return re.match(r'\s*\{\s*("|$)', answer.text) is not None


async def _kept_to_choice(connection: Asked, base: Mapping[str, Any]) -> bool:
    return (await _answered(connection, base, {"structured_outputs": {"choice": [_ODD]}})).text == _ODD


async def _caches(connection: Asked, root: str) -> bool:
    return 'enable_prefix_caching="True"' in str(await connection.get(f"{root}/metrics"))


async def _no() -> None:
    return None


async def _works(ask: Callable[[], Awaitable[T]]) -> T | None:
    """What comes of asking; None if the server refuses, or its answer is of no use. That it is busy shows nothing."""
    try:
        return await _patient(ask)
    except BurnishError as e:
        if e.code in _SHOW_NOTHING:
            raise
        return None


async def _patient(ask: Callable[[], Awaitable[T]]) -> T:
    """Ask again, a few times, while the server only says that it is busy."""
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            return await ask()
        except GenerationFailed as e:
            wait = e.retry_after if e.retry_after is not None else 0.5 * attempt
            if not e.retryable or e.code == "bad_response" or attempt == _ATTEMPTS or wait > _LONGEST_WAIT_S:
                raise
            await asyncio.sleep(wait)
    raise AssertionError
