"""A reward model on a server: `vllm serve` with a pooling model, at its endpoints `/classify`, `/pooling` and `/score`.

It generates nothing; it is an engine for the role `reward`. The dialogue is sent as messages, so that the server's own
chat template renders it; a ranker, which has no template, gets the pair of question and answer at `/score`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, cast

from ..core.completion import Completion, Scores, Watch
from ..core.engine import Capabilities, EngineInfo, Reward
from ..core.errors import ConfigError, EngineUnavailable, GenerationFailed
from ..core.prompt import Message, Prompt
from ..core.sampling import Sampling
from ..core.stop import Stop
from .connected import Connected
from .scoring import bad_reward, number, numbers
from .server_address import Address
from .server_probe import served

if TYPE_CHECKING:
    from .server_client import Connection

Endpoint: TypeAlias = Literal["classify", "pooling", "score"]
_ENDPOINTS: tuple[Endpoint, ...] = ("classify", "pooling", "score")


@dataclass(frozen=True)
class _Open:
    """What there is while the engine runs."""

    connection: Connection
    places: asyncio.Semaphore
    """One for each connection: a call waits here, not inside of the client, so that its time has not begun."""


class RewardOnly:
    """What engines that only give rewards have in common: they refuse everything else."""

    @property
    def info(self) -> EngineInfo:
        """Which engine it is."""
        raise NotImplementedError

    def count_tokens(self, prompt: Prompt) -> int:
        """An upper bound: no token is less than a byte."""
        return 64 + sum(len(m.text.encode("utf-8", "surrogatepass")) + 16 for m in prompt.messages or ())

    async def generate(
        self, prompt: Prompt, sampling: Sampling, *, watch: Watch | None = None, stop: Stop | None = None
    ) -> Completion:
        """Refused."""
        raise self._refusal("generates nothing")

    async def score(self, prompt: Prompt, continuations: Sequence[str | Sequence[int]]) -> list[Scores]:
        """Refused."""
        raise self._refusal("gives no log-probabilities")

    def _refusal(self, what: str) -> EngineUnavailable:
        return EngineUnavailable(f"the engine {self.info.kind} {what}", hint="it serves the role reward", code="unsupported")


class RewardServer(Connected[_Open], RewardOnly):
    """A reward model on a server. Start it, use it, close it within one event loop."""

    def __init__(
        self,
        base_url: str,
        model: str | None = None,
        *,
        endpoint: Endpoint = "classify",
        api_key_env: str | None = None,
        timeout: float = 120.0,
        max_connections: int = 64,
    ) -> None:
        """Describe the engine; nothing happens before `start`.

        `base_url` is that of the OpenAI protocol, as in `http://127.0.0.1:8000/v1`; the endpoints lie beside it. `classify` is
        for sequence classifiers, most reward models among them; `pooling` for models with one output at the last token that
        the server takes for no classifiers; `score` for rankers. The other arguments are those of `ServerEngine`.

        Raises:
            ConfigError: an argument that cannot be right.
        """
        self._address = Address(base_url, key_env=api_key_env, timeout=timeout, max_connections=max_connections)
        if endpoint not in _ENDPOINTS:
            raise ConfigError(f"endpoint is {endpoint!r}", hint=f"one of: {', '.join(_ENDPOINTS)}")
        self._endpoint: Endpoint = endpoint
        self._model = model
        super().__init__(EngineInfo(kind="reward_server", model=model or "", capabilities=Capabilities(rewards=True)))

    async def reward(self, prompt: Prompt, answer: str, *, raw: bool) -> Reward:
        """What the model gives an answer."""
        opened = self._running()
        body = {"model": self._info.model, "use_activation": not raw, **_asked(prompt, answer, self._endpoint)}
        async with opened.places:
            found = await opened.connection.post(body, f"{self._address.root}/{self._endpoint}")
        return Reward(_values(found, self._endpoint), _tokens(found))

    async def _connect(self) -> tuple[_Open, EngineInfo]:
        """Find the model; that it gives rewards shows at the first call."""
        connection = self._address.connect()
        try:
            found = await served(connection, self._model)
        except GenerationFailed as e:
            await connection.close()
            raise EngineUnavailable(e.message, hint=e.hint, code=e.code) from None
        except BaseException:
            await connection.close()
            raise
        info = replace(self._info, model=found.model, context_tokens=found.context_tokens, settings={"endpoint": self._endpoint})
        return _Open(connection, asyncio.Semaphore(self._address.max_connections)), info

    async def _disconnect(self, opened: _Open) -> None:
        await opened.connection.close()


def _asked(prompt: Prompt, answer: str, endpoint: Endpoint) -> dict[str, Any]:
    """The part of a body that holds what is to be rated."""
    messages = dialogue(prompt, answer)
    if endpoint == "score":
        question = "\n\n".join(m.text for m in messages[:-1])
        return {"text_1": question, "text_2": answer}
    turns = {"messages": [m.to_json() for m in messages], "add_generation_prompt": False}
    return turns if endpoint == "classify" else {**turns, "task": "classify", "encoding_format": "float"}


def dialogue(prompt: Prompt, answer: str) -> tuple[Message, ...]:
    """The prompt's turns with the answer as the last one.

    Raises:
        EngineUnavailable: the prompt is token ids, or has a prefix.
    """
    if prompt.messages is None or prompt.prefix_ids or prompt.prefix_text:
        raise EngineUnavailable("a reward model takes whole turns only", hint="give messages and no prefix", code="unsupported")
    return (*prompt.messages, Message("assistant", answer))


def _values(answer: Mapping[str, Any], endpoint: Endpoint) -> tuple[float, ...]:
    entries: Any = answer.get("data")
    if not isinstance(entries, list) or len(cast("list[Any]", entries)) != 1 or not isinstance(entries[0], Mapping):
        raise bad_reward("the server's answer has no one entry of data")
    entry = cast("Mapping[str, Any]", entries[0])
    match endpoint:
        case "score":
            return (number(entry.get("score"), where="score"),)
        case "classify":
            return numbers(entry.get("probs"), where="probs")
        case "pooling":
            return numbers(entry.get("data"), where="data")


def _tokens(answer: Mapping[str, Any]) -> int | None:
    usage: Any = answer.get("usage")
    count = cast("Mapping[str, Any]", usage).get("prompt_tokens") if isinstance(usage, Mapping) else None
    return count if isinstance(count, int) and not isinstance(count, bool) and 0 <= count < 2**31 else None
