"""How passages stand in a prompt: cut to a length, each with a number, and the same words everywhere for there being none."""

from __future__ import annotations

from collections.abc import Sequence

from ..retrieval.passage import Hit

MOST_CHARACTERS = 2000
"""Characters of one passage that a prompt shows, where nothing else is set."""
NOTHING = "(nothing was found that has not been shown)"
"""What a prompt says where passages would stand and there are none."""


def clipped(text: str, most: int) -> str:
    """A text of at most `most` characters, ending in an ellipsis where something was cut."""
    text = text.strip()
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"


def listed(hits: Sequence[Hit], most: int = MOST_CHARACTERS) -> str:
    """Passages below each other as FlashRAG lists them: `Doc 1(Title: ...) text`."""
    return "\n".join(f"Doc {n}(Title: {h.title or '-'}) {clipped(h.text, most)}" for n, h in enumerate(hits, 1)) or NOTHING
