"""Calls, prices and abilities by way of `litellm`. Imported only when an engine starts, since that takes seconds.

litellm is told to take its price list from the package (else it fetches one at import), to fetch no tokenizer, to send
nothing twice and to leave out nothing that it was asked for. Its errors hold requests with their headers: they
end here.
"""

from __future__ import annotations

import os
import re
from collections.abc import AsyncGenerator, Mapping
from contextlib import suppress
from importlib import import_module
from importlib.metadata import version
from typing import Any, cast

os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
os.environ.setdefault("LITELLM_LOG", "CRITICAL")  # What it warns of is an error here, and may quote a model's text.

from ..core.engine import Capabilities
from ..core.errors import BurnishError, ConfigError, EngineUnavailable, GenerationFailed
from ..core.text import one_line
from .server_errors import bad_response, interrupted, refusal, silent

litellm: Any = import_module("litellm")
litellm.suppress_debug_info = True
litellm.disable_hf_tokenizer_download = True

_SECRET_NAME = re.compile(r"KEY|TOKEN|SECRET|PASSWORD|CREDENTIAL")
_NATURAL_ENDS = {"stop", "end_turn", "stop_sequence", "complete", "eos", "eos_token", "end", "finished", "pause_turn"}
"""Providers' own names for an end that the model or a stop text made."""


def provider_of(model: str) -> tuple[str, str]:
    """Model and provider that a name means to litellm.

    Raises:
        ConfigError: it names no provider.
    """
    with suppress(Exception):
        name, provider, *_ = litellm.get_llm_provider(model)
        return str(name), str(provider)
    raise ConfigError(
        f"litellm knows no provider of the model {one_line(model)!r}", hint="provider/name, as in openai/gpt-4o-mini"
    )


def abilities(model: str, *, logprobs: bool | None, json_schema: bool | None) -> tuple[Capabilities, frozenset[str]]:
    """What litellm's list says that a model can do, unless told otherwise, and which parameters its provider takes."""
    name, provider = provider_of(model)
    taken: frozenset[str] = frozenset(litellm.get_supported_openai_params(name, custom_llm_provider=provider) or ())

    def listed(of: str) -> bool:
        with suppress(Exception):
            return bool(getattr(litellm, of)(model=name, custom_llm_provider=provider))
        return False

    return Capabilities(
        logprobs="logprobs" in taken if logprobs is None else logprobs,
        json_schema=listed("supports_response_schema") if json_schema is None else json_schema,
        abort=True,
        images=listed("supports_vision"),
        reasoning=listed("supports_reasoning"),
    ), taken


def software() -> str:
    """Name and version of what sends the calls."""
    return f"litellm {version('litellm')}"


class Prices:
    """What calls of one model cost: as given, in US dollars for a million tokens, else by litellm's list."""

    def __init__(self, model: str, given: tuple[float, float] | None) -> None:
        self._model, self._given = model, given

    def usd(self, prompt: int, completion: int, cached: int = 0) -> float | None:
        """The price of a call; None if it is not known."""
        if self._given is not None:
            return (prompt * self._given[0] + completion * self._given[1]) / 1e6
        usage: Any = litellm.Usage(
            prompt_tokens=prompt,
            completion_tokens=completion,
            total_tokens=prompt + completion,
            prompt_tokens_details={"cached_tokens": min(cached, prompt)},
        )
        with suppress(Exception):  # a model that is not listed
            listed: Any = litellm.get_model_info(self._model)
            if listed.get("input_cost_per_token") is not None and listed.get("output_cost_per_token") is not None:
                return float(sum(litellm.cost_per_token(model=self._model, usage_object=usage)))
        return None


class LiteClient:
    """Sends calls through litellm."""

    _open = 0
    """How many there are in this process."""

    def __init__(self, *, key: str | None, timeout: float, common: Mapping[str, Any]) -> None:
        LiteClient._open += 1
        self._timeout, self._common = timeout, {**common, **({"api_key": key} if key else {})}
        # Providers' keys come from the environment, and an error may quote one.
        found = {value for name, value in os.environ.items() if _SECRET_NAME.search(name) and len(value) >= 8}
        self._secrets = sorted(found | ({key} if key else set()), key=len, reverse=True)

    async def post(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """One answer.

        Raises:
            GenerationFailed: this call failed.
            EngineUnavailable: no call would succeed.
        """
        try:
            return _checked(await self._send(body))
        except BurnishError:
            raise
        except Exception as e:
            failed = self._failure(e)
        raise failed

    async def stream(self, body: Mapping[str, Any]) -> AsyncGenerator[Mapping[str, Any]]:
        """The pieces of one answer. Closing this generator ends the call at the server.

        Raises:
            GenerationFailed: this call failed.
            EngineUnavailable: no call would succeed.
        """
        answer: Any = None
        try:
            answer = await self._send(body)
            async for piece in answer:
                yield _plain(piece)
            return
        except BurnishError:
            raise
        except Exception as e:
            failed = self._failure(e)
        finally:
            if answer is not None:
                await answer.aclose()
        raise failed

    async def close(self) -> None:
        """Close litellm's connections, which all engines share, with the last engine."""
        LiteClient._open -= 1
        if LiteClient._open == 0:
            await litellm.close_litellm_async_clients()
            litellm.in_memory_llm_clients_cache.flush_cache()

    async def _send(self, body: Mapping[str, Any]) -> Any:
        sent = {**self._common, **body, "timeout": self._timeout, "num_retries": 0, "max_retries": 0, "drop_params": False}
        return await litellm.acompletion(**sent)

    def _failure(self, error: Exception) -> BurnishError:
        """Burnish's error for one of litellm's, which is not passed on: it holds the request with all its headers."""
        said, status = self._without_secrets(str(getattr(error, "message", error))), getattr(error, "status_code", None)
        headers: Any = getattr(error, "litellm_response_headers", None) or {}
        if isinstance(error, litellm.UnsupportedParamsError):
            return EngineUnavailable(f"the provider does not take the call: {said}", hint="leave it out", code="unsupported")
        if isinstance(error, litellm.Timeout):
            return silent(self._timeout)
        if isinstance(error, litellm.ContextWindowExceededError):
            return GenerationFailed(f"the prompt does not fit: {said}", code="context_length", hint="shorten the prompt")
        if isinstance(error, litellm.ContentPolicyViolationError):
            return GenerationFailed(f"the provider's filter: {said}", code="content_filter", hint="change the prompt")
        if isinstance(error, (litellm.exceptions.MidStreamFallbackError, litellm.APIConnectionError)):
            return interrupted(said)
        if isinstance(status, int):
            return refusal(status, {"message": said, "code": _code(error)}, headers)
        return bad_response(f"{type(error).__name__}: {said}")

    def _without_secrets(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return one_line(text, 300)


def _code(error: Exception) -> str:
    body: Any = getattr(error, "body", None)
    return str(cast("Mapping[str, Any]", body).get("code") or "") if isinstance(body, Mapping) else ""


def _plain(answer: Any) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", answer.model_dump(exclude_none=True))


def _checked(answer: Any) -> Mapping[str, Any]:
    """A whole answer. litellm calls every end that it does not know, and some errors, a `stop`, and keeps the provider's word."""
    plain = _plain(answer)
    choices: list[Any] = plain.get("choices") or []
    for choice in choices:
        native: object = cast("dict[str, Any]", choice.get("provider_specific_fields") or {}).get("native_finish_reason")
        if choice.get("finish_reason") == "stop" and native and str(native).lower() not in _NATURAL_ENDS:
            raise bad_response(f"the provider ended it with {native!r}")
    return plain
