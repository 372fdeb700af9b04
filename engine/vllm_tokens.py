"""From prompts to token ids and back, in this process, so that burnish knows exactly which tokens the engine sees."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from functools import lru_cache
from importlib import import_module
from typing import Any

from ..core.errors import ConfigError, EngineUnavailable, GenerationFailed
from ..core.prompt import Message, Prompt
from ..core.text import one_line

RENDERED_KEPT = 512
"""Rendered dialogues that are remembered: the samples of one prompt are rendered once."""


class Tokens:
    """A model's tokenizer and chat template."""

    def __init__(self, model: str, *, trust_remote_code: bool = False) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                transformers = import_module("transformers")
                self._tokenizer: Any = transformers.AutoTokenizer.from_pretrained(model, trust_remote_code=trust_remote_code)
            except ImportError:
                raise EngineUnavailable("transformers is not installed", hint="burnish engine install") from None
            except Exception as e:
                raise EngineUnavailable(
                    f"the tokenizer of {model} cannot be loaded: {one_line(str(e), 200)}", hint="burnish models list"
                ) from None
        self._rendered = lru_cache(RENDERED_KEPT)(self._render)

    def ids(self, prompt: Prompt) -> list[int]:
        """Token ids of a prompt with its prefix.

        Raises:
            EngineUnavailable: it has an image, or messages where the model has no chat template.
            ConfigError: it is empty, or the chat template refuses it.
        """
        ids = list(prompt.token_ids) if prompt.messages is None else list(self._rendered(prompt.messages))  # pyright: ignore[reportArgumentType]
        ids += prompt.prefix_ids or (self.encode(prompt.prefix_text) if prompt.prefix_text else ())
        if not ids:
            raise ConfigError("the prompt is empty", hint="give at least one token")
        size = len(self._tokenizer)
        if any(not 0 <= i < size for i in ids):
            raise ConfigError(f"the prompt has token ids outside 0 to {size - 1}", hint="use this model's own tokenizer")
        return ids

    def dialogue(self, messages: tuple[Message, ...]) -> list[int]:
        """Token ids of a dialogue whose last turn is over; nothing follows it.

        Raises:
            EngineUnavailable: it has an image, or the model has no chat template.
            ConfigError: the chat template refuses it.
        """
        return list(self._render(messages, open_turn=False))

    def encode(self, text: str) -> list[int]:
        """Token ids of a text by itself, without any that mark a beginning.

        Raises:
            GenerationFailed: it holds half a character (a lone surrogate), which no tokenizer takes.
        """
        try:
            return self._tokenizer(text, add_special_tokens=False)["input_ids"]
        except (TypeError, UnicodeEncodeError):
            message = "the call holds text that is no Unicode"
            raise GenerationFailed(message, code="bad_request", hint="take surrogates out") from None

    def decode(self, ids: Sequence[int]) -> str:
        """The text of token ids, without control tokens."""
        return self._tokenizer.decode(list(ids), skip_special_tokens=True)

    def single(self, text: str) -> int | None:
        """The id of a text that is one token of its own; None if it is not."""
        found = self._tokenizer.convert_tokens_to_ids(text)
        return found if isinstance(found, int) and found != self._tokenizer.unk_token_id else None

    def _render(self, messages: tuple[Message, ...], *, open_turn: bool = True) -> tuple[int, ...]:
        if any(m.has_image for m in messages):
            raise EngineUnavailable("this engine takes no images", hint="leave the image out, or use a hosted model")
        if not self._tokenizer.chat_template:
            raise EngineUnavailable("the model has no chat template", hint="use an instruction-tuned model, or give token ids")
        turns = [{"role": m.role, "content": m.text} for m in messages]
        try:
            text = self._tokenizer.apply_chat_template(turns, add_generation_prompt=open_turn, tokenize=False)
        except Exception as e:
            raise ConfigError(f"the model's chat template refuses the messages: {one_line(str(e), 200)}") from None
        return tuple(self.encode(text))
