"""Reading a turn of Auto-RAG's model: which label it ends with, and what stands behind it.

- Labels are `Initial Query`, `Refined Query`, `Query` at the beginning of a line, and `Final Answer`, in any letter case, with or
  without a number, bold or not. The last one wins: a final answer behind the last query ends the dialogue, a query behind an
  answer goes on.
- A document that the model invents, and all that follows, is cut off: its label belongs to the other side of the dialogue.
- What stands behind a label is one line. A query is taken without quotes and the marker `[Dense]`, and used if it was cut at
  the token limit. An answer that was cut is none, since more might have followed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

MOST_REPLY = 16_000
"""Characters of a reply that are read; a model that goes on without end is cut here."""

_LABEL = re.compile(
    r"(?:(?P<query>(?<![^\W_])(?:initial|refined)[ _]query|^[ \t>*_#-]{0,8}query)|(?P<answer>(?<![^\W_])final[ _]answer))"
    r"(?:[ _]{0,2}\d{1,4})?[ *_]{0,4}:[ \t*_]*",
    re.IGNORECASE | re.MULTILINE,
)
_INVENTED = re.compile(r"^[ \t>*_#-]{0,8}retrieved[ _]document(?:[ _]{0,2}\d{1,4})?[ *_]{0,4}:", re.IGNORECASE | re.MULTILINE)
_AROUND = " \t\"'`*_“”"


@dataclass(frozen=True)
class Read:
    """What a reply says."""

    kind: Literal["query", "answer", "nothing"]
    text: str
    """The query or the answer; of nothing, what is wrong."""
    said: str
    """The reply as the dialogue goes on with it: cut behind the query or answer, and before an invented document."""


def read(reply: str, *, cut: bool) -> Read:
    """Read a reply; `cut` says that it ended at its token limit."""
    whole = reply[:MOST_REPLY]
    invented = _INVENTED.search(whole)
    cut = (cut or len(reply) > MOST_REPLY) and invented is None
    text = whole[: invented.start()] if invented else whole
    labels = list(_LABEL.finditer(text))
    if not labels:
        return Read("nothing", "it was cut before a label" if cut else "it has neither a query nor a final answer", text.strip())
    label, kind = labels[-1], "answer" if labels[-1]["answer"] else "query"
    rest = text[label.end() :]
    value = rest.strip().split("\n", 1)[0].rstrip()
    end = label.end() + len(rest) - len(rest.lstrip()) + len(value)
    if kind == "answer" and cut and end >= len(text.rstrip()):
        return Read("nothing", "the final answer was cut before its end", text.strip())
    clean = value.strip(" \t*_") if kind == "answer" else value.replace("[Dense]", "").strip(_AROUND)
    if not clean:
        return Read("nothing", f"the {'final answer' if kind == 'answer' else 'query'} is empty", text.strip())
    return Read(kind, clean, text[:end].strip())
