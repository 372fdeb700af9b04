"""Text of unknown origin, made safe to show to a judge.

What a judge reads was written by the model that it judges, or by anybody. So it stands between marks that it cannot
contain, for they are made of its own hash; control, format and zero-width characters are shown as escapes; what models
take for the end of a turn, or what looks like one of these marks, is broken by a space; what is too long keeps its head
and its tail. None of this keeps a model from being impressed by what it reads, but nothing that is read can pass for more
than it is.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from ..core.errors import ConfigError
from ..core.ids import Json, text_hash
from ..core.text import printable

_CONTROL = re.compile(
    r"<(?=\|[^|<>\n]{1,60}\|?>)"  # <|im_end|>, <|eot_id|>
    r"|<(?=\uff5c[^\uff5c<>\n]{1,60}\uff5c>)"  # the same with full-width bars
    r"|<(?=/?(?:s|bos|eos|pad|unk|think|thought|tool_call|tool_response|(?:start|end)_of_turn|sep|cls|mask)>)"
    r"|<(?=<SYS>>|</SYS>>)"
    r"|\[(?=/?(?:INST|SYS|SYSTEM_PROMPT|TOOL_CALLS|AVAILABLE_TOOLS|TOOL_RESULTS|CLS|SEP|MASK)\])"
    r"|<(?=\s*/?\s*\w[\w-]{0,40}-[0-9a-f]{8,32}\s*>)",  # a mark of ours, or what looks like one
    re.IGNORECASE,
)
SHORTEST = 200
"""Fewest characters that a text may be cut to."""


@dataclass(frozen=True, kw_only=True)
class Quoted:
    """A text between its marks, and what was done to it."""

    block: str
    """The marks with the text between them."""
    mark: str
    """Name of the marks: `<mark>` before the text, `</mark>` after it."""
    characters: int
    """Length of the text as it came."""
    cut: bool
    """Whether only its head and its tail are shown."""
    broken: int
    """Control tokens and look-alikes of marks that were broken."""

    def to_json(self) -> dict[str, Json]:
        """Plain form for a verdict's evidence: what was done to the text."""
        return {"characters": self.characters, "cut": self.cut, "broken": self.broken}


def quote(label: str, text: str, *, longest: int) -> Quoted:
    """Put a text between marks.

    Args:
        label: what it is, in a word; begins the marks' name.
        text: the text, of unknown origin.
        longest: most characters shown; of a longer text the head and the tail are.
    """
    half = longest // 2
    head, tail = (text, "") if len(text) <= longest else (text[:half], text[-half:])
    (head, broken), (tail, more) = plain(head), plain(tail)
    if cut := bool(tail) or len(head) > longest:  # Escapes are longer than what they stand for.
        tail = (tail or head)[-half:]
        head = head[:half]
    mark = f"{label}-{text_hash(f'{label} {len(text)} {head} {tail}')[:16]}"
    shown = f"{head}\n[{mark}: the middle of {len(text)} characters is left out here]\n{tail}" if cut else head
    return Quoted(block=f"<{mark}>\n{shown}\n</{mark}>", mark=mark, characters=len(text), cut=cut, broken=broken + more)


def plain(text: str) -> tuple[str, int]:
    """The text with escapes for what cannot be seen and with its control tokens broken, and how many those were."""
    return _CONTROL.subn(lambda m: f"{m.group()} ", printable(text.replace("\r\n", "\n")))


def wordless(text: str) -> bool:
    """Whether a text holds nothing but punctuation and white space: no answer to anything, but known to fool judges."""
    return all(unicodedata.category(c)[0] in "PZC" for c in text)


def check_longest(name: str, longest: int) -> None:
    """Refuse a limit that would leave nothing to judge.

    Raises:
        ConfigError: it is too small.
    """
    if longest < SHORTEST:
        raise ConfigError(f"{name}: longest is {longest}", hint=f"characters, at least {SHORTEST}")
