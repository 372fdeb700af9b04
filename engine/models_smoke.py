"""A trial of a model: does vLLM load it, and does it generate."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path

from ..core.errors import EngineUnavailable
from ..core.ids import Json
from ..core.prompt import Prompt
from ..core.sampling import Sampling

TOKENS = 8
CONTEXT = 512
PROMPT = "What is the capital of France?"


@dataclass(frozen=True)
class Smoke:
    """What a trial has shown."""

    text: str
    tokens: int
    """How many were generated."""
    seconds: float
    """From the start of the engine to the last token."""
    chat: bool
    """Whether the prompt was a message, rendered through the model's chat template."""

    def to_json(self) -> dict[str, Json]:
        """Plain form."""
        return {"text": self.text, "tokens": self.tokens, "seconds": round(self.seconds, 1), "chat": self.chat}


async def smoke(name: str, folder: Path) -> Smoke:
    """Load the model `name`, whose files are in `folder`, and generate a few tokens, the likeliest ones.

    Raises:
        EngineUnavailable: it does not load, or generates nothing.
    """
    from .vllm import VLLMEngine

    begun = time.monotonic()
    async with VLLMEngine(name, max_model_len=_context(folder), max_num_seqs=4) as engine:
        sampling = Sampling(max_tokens=TOKENS, temperature=0)
        chat = True
        try:
            done = await engine.generate(Prompt.of(PROMPT), sampling)
        except EngineUnavailable:  # no chat template
            chat = False
            done = await engine.generate(Prompt(token_ids=engine.encode(PROMPT)), sampling)
    if not done.tokens.completion:
        raise EngineUnavailable(f"the model {name} generates nothing", code="smoke", hint=f"burnish models remove {name}")
    return Smoke(done.text, done.tokens.completion, time.monotonic() - begun, chat)


def _context(folder: Path) -> int:
    """Tokens of context for the trial: a few, but no more than the model has."""
    try:
        config = json.loads((folder / "config.json").read_text())
        return min(CONTEXT, int(config["max_position_embeddings"]))
    except (OSError, ValueError, KeyError, TypeError):
        return CONTEXT
