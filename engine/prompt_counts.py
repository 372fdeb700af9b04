"""Tokens of prompts where no tokenizer is known: an upper bound until the engine has counted one, then as it counted."""

from __future__ import annotations

from collections import OrderedDict

from ..core.prompt import Prompt

_PROMPTS_KNOWN = 256
_TEMPLATE_TOKENS, _TURN_TOKENS = 64, 16
"""Most tokens that a chat template is reckoned to add, once and for each turn."""


class PromptCounts:
    """The newest prompts and their tokens."""

    def __init__(self) -> None:
        self._known: OrderedDict[Prompt, int] = OrderedDict()

    def of(self, prompt: Prompt) -> int:
        """Tokens of a prompt as they were counted, else an upper bound: no token is less than a byte."""
        known = self._known.get(prompt)
        if known is not None:
            return known
        texts = [prompt.prefix_text, *(m.text for m in prompt.messages or ())]
        ids = len(prompt.token_ids or ()) + len(prompt.prefix_ids)
        return _TEMPLATE_TOKENS + ids + sum(len(t.encode("utf-8", "surrogatepass")) + _TURN_TOKENS for t in texts)

    def learn(self, prompt: Prompt, tokens: int | None) -> None:
        """Remember a count; None is none."""
        if tokens is None:
            return
        self._known[prompt] = tokens
        self._known.move_to_end(prompt)
        if len(self._known) > _PROMPTS_KNOWN:
            self._known.popitem(last=False)
