"""An engine on hosted models, through `litellm`: one protocol for many providers, with their prices.

What a model can do is what litellm's list says, since asking it costs money; prices come from the same list. A
call that may be stopped is streamed, and a stopped one is counted and paid for as far as it came. litellm itself sends
nothing again, burnish's retries do.
"""

from __future__ import annotations

import asyncio
import logging
import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ..core.completion import Completion, Watch
from ..core.engine import EngineInfo, require
from ..core.errors import ConfigError, EngineUnavailable
from ..core.ids import as_json
from ..core.prompt import Prompt
from ..core.sampling import Sampling
from ..core.stop import Stop
from .connected import ChatEngine
from .layer import NOTHING
from .server_errors import bad_response
from .server_exchange import exchange
from .server_replies import Collected

if TYPE_CHECKING:
    from .lite_client import LiteClient, Prices

_OURS = frozenset(
    {"model", "messages", "stream", "n", "timeout", "num_retries", "max_retries", "drop_params", "api_base", "api_key"}
)
_log = logging.getLogger("burnish")


@dataclass(frozen=True)
class _Open:
    """What there is while the engine runs."""

    client: LiteClient
    prices: Prices
    taken: frozenset[str]
    """Parameters that the provider takes."""
    places: asyncio.Semaphore


class LiteLLMEngine(ChatEngine[_Open]):
    """A model of a provider that litellm knows. Start it, use it, close it within one event loop."""

    def __init__(
        self,
        model: str,
        *,
        api_base: str | None = None,
        api_key_env: str | None = None,
        timeout: float = 600.0,
        max_connections: int = 64,
        input_price: float | None = None,
        output_price: float | None = None,
        logprobs: bool | None = None,
        json_schema: bool | None = None,
        params: Mapping[str, Any] | None = None,
    ) -> None:
        """Describe the engine; nothing happens before `start`.

        `model` is `provider/name`, as litellm writes it. `api_base` is another URL than the provider's. The key is taken from the
        environment variable `api_key_env`, by default the provider's own (`OPENAI_API_KEY`). A call fails after `timeout` silent
        seconds; at most `max_connections` are sent at once. `input_price` and `output_price`, in US dollars for a million tokens,
        go before litellm's list, as `logprobs` and `json_schema` do: whether the model has them. `params` are further arguments
        of litellm by its own names (`api_version`, `reasoning_effort`), sent with every call.

        Raises:
            ConfigError: an argument that cannot be right.
        """
        if not model:
            raise ConfigError("the engine litellm needs a model", hint="--model provider/name, as in openai/gpt-4o-mini")
        if api_key_env is not None and not re.fullmatch(r"[A-Z][A-Z0-9_]{0,99}", api_key_env):
            raise ConfigError("api_key_env is no variable in capitals", hint="name the one that holds the key: MY_API_KEY")
        if not 0 < timeout < math.inf or max_connections < 1:
            raise ConfigError(f"timeout is {timeout}, max_connections is {max_connections}", hint="give numbers above 0")
        self._model, self._key_env, self._timeout = model, api_key_env, timeout
        self._max_connections = max_connections
        self._given = _given_prices(input_price, output_price)
        self._told = {"logprobs": logprobs, "json_schema": json_schema}
        self._params = _checked_params(params or {})
        self._common = {"model": model, **self._params, **({"api_base": api_base} if api_base else {})}
        settings = {name: as_json(value) for name, value in sorted(self._params.items())}
        super().__init__(EngineInfo(kind="litellm", model=model, settings=settings))

    def most_usd(self, prompt_tokens: int, completion_tokens: int) -> float | None:
        """The price of a call with so many tokens, none of them cached; None if it is not known."""
        return self._running().prices.usd(prompt_tokens, completion_tokens)

    async def generate(
        self, prompt: Prompt, sampling: Sampling, *, watch: Watch | None = None, stop: Stop | None = None
    ) -> Completion:
        opened, collected = self._running(), Collected()
        if stop is not None and stop.requested:
            return NOTHING
        require(self, (*sampling.needs, *prompt.needs), why="the call")
        ask = _body(prompt, sampling, opened.taken)
        if watch is not None or stop is not None:
            ask |= {"stream": True, "stream_options": {"include_usage": True}}
        completion = await self._completed(_call(opened, ask, collected, watch), collected, prompt, sampling, stop)
        tokens = completion.tokens
        return replace(completion, cost_usd=opened.prices.usd(tokens.prompt, tokens.completion, tokens.cached) or 0.0)

    async def _connect(self) -> tuple[_Open, EngineInfo]:
        lite = await asyncio.to_thread(_imported)
        key = os.environ.get(self._key_env, "") if self._key_env else None
        if key == "":
            raise ConfigError(f"the environment variable {self._key_env} is not set", hint=f"export {self._key_env}=...")
        capabilities, taken = lite.abilities(self._model, **self._told)
        prices = lite.Prices(self._model, self._given)
        if prices.usd(1, 1) is None:
            _log.warning("the price of %s is not known: its calls are counted as free", self._model)
        client = lite.LiteClient(key=key, timeout=self._timeout, common=self._common)
        opened = _Open(client, prices, taken, asyncio.Semaphore(self._max_connections))
        return opened, replace(self._info, version=lite.software(), capabilities=capabilities)

    async def _disconnect(self, opened: _Open) -> None:
        await opened.client.close()


async def _call(opened: _Open, ask: dict[str, Any], collected: Collected, watch: Watch | None) -> bool:
    async with opened.places:
        stopped = await exchange(opened.client, ask, collected, watch)
    if not stopped and not collected.refused and not collected.generated:
        raise bad_response("it is empty")  # what litellm makes of an answer that is no stream
    return stopped


def _imported() -> Any:
    try:
        from . import lite_client
    except ImportError as e:
        raise EngineUnavailable(f"litellm is not installed: {e}", hint="pip install 'burnish[litellm]'") from None
    return lite_client


def _given_prices(input_price: float | None, output_price: float | None) -> tuple[float, float] | None:
    if input_price is None and output_price is None:
        return None
    if input_price is None or output_price is None or not (0 <= input_price < math.inf and 0 <= output_price < math.inf):
        raise ConfigError(
            f"input_price is {input_price}, output_price is {output_price}", hint="give both, in US dollars for a million tokens"
        )
    return input_price, output_price


def _checked_params(params: Mapping[str, Any]) -> dict[str, Any]:
    """Further arguments; those are stored with each run, so no key may be among them."""
    if wrong := sorted(_OURS & params.keys()):
        raise ConfigError(f"params holds {', '.join(wrong)}", hint="those have arguments of their own, or are burnish's to set")
    if secret := sorted(name for name in params if re.search(r"key|token|secret|password|header", name, re.IGNORECASE)):
        raise ConfigError(f"params holds {', '.join(secret)}", hint="name the variable that holds the key: api_key_env=NAME")
    return dict(params)


def _body(prompt: Prompt, sampling: Sampling, taken: frozenset[str]) -> dict[str, Any]:
    """What a call asks for. A setting that the providers' common protocol has not is an error, never left out in silence.

    Raises:
        EngineUnavailable: it asks for what the protocol has not.
    """
    asked = [name for name in ("top_k", "thinking_tokens") if getattr(sampling, name) is not None]
    asked += ["logprobs of the likeliest tokens, by token id"] if sampling.logprobs else []
    asked += ["token ids"] if prompt.messages is None or prompt.prefix_ids else []
    asked += ["begun answer"] if prompt.prefix_text else []
    if asked or prompt.messages is None:
        raise EngineUnavailable(
            f"the engine litellm has no {', '.join(asked)}", hint="leave it out, or use the engine vllm", code="unsupported"
        )
    out: dict[str, Any] = {
        "messages": [m.to_json() for m in prompt.messages],
        "max_tokens": sampling.max_tokens,
        "temperature": sampling.temperature,
    }
    if sampling.top_p != 1:
        out["top_p"] = sampling.top_p
    if sampling.seed is not None and "seed" in taken:
        out["seed"] = sampling.seed
    if sampling.stop:
        out["stop"] = list(sampling.stop)
    if sampling.logprobs is not None:
        out |= {"logprobs": True, "top_logprobs": 0}
    if sampling.json_schema is not None:
        schema = {"name": "answer", "schema": dict(sampling.json_schema), "strict": True}
        out["response_format"] = {"type": "json_schema", "json_schema": schema}
    return out
