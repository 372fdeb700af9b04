"""Support of an answer by passages: what it quotes, or the answer itself, stands in one of them word for word.

A quotation is what stands between double quotation marks; one with an ellipsis is in parts, which must follow each other in one
passage. Texts are compared by their words: case, punctuation, typographic forms and the words a, an, the do not count, and
words are whole. Whether a passage that holds the words also means what the answer says is not seen here.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, ClassVar, Literal, TypeAlias, cast, get_args

from ..core.answer_scores import CLOSED, normalized
from ..core.candidate import Candidate
from ..core.errors import ConfigError
from ..core.extract import extractor
from ..core.ids import Json
from ..core.task import Task
from ..core.text import one_line
from ..core.verdict import Verdict

if TYPE_CHECKING:
    from ..core.context import Context

What: TypeAlias = Literal["auto", "answer", "quotes"]

_QUOTED = re.compile(r'"([^"]+)"|“([^“”]+)”|«([^«»]+)»|„([^„“”]+)[“”]')
_ELLIPSIS = re.compile(r"\[?(?:…|\.\.\.+)\]?")
_APOSTROPHES = re.compile(r"['’‘`´]")
_WORD = re.compile(r"[^\W_]+")
_MOST_QUOTES = 100
_TOLD = 5
"""Most quotations that feedback names."""


@dataclass(frozen=True, kw_only=True)
class Supported:
    """Passes an answer that stands in one of the passages word for word, or whose quotations all do. The score is the share of
    quotations that are found; the feedback names those that are not. It sees no reference.
    """

    name: ClassVar[str] = "supported"
    version: ClassVar[str] = "1"
    oracle: ClassVar[bool] = False

    passages: Sequence[str] = ()
    """What was retrieved, for a verifier that a graph makes; empty for the task's own passages."""
    key: str = "passages"
    """Name in the task's context of its passages: texts, or objects with `title`, and `text` or `contents`."""
    what: What = "auto"
    """What has to be found: `quotes`, the `answer` as a whole, or, with `auto`, the answer or else its quotations."""
    extract: str = ""
    """Name of the extractor that reads the answer; empty for the task's own, or the whole text."""
    judges_truncated: bool = False

    def __post_init__(self) -> None:
        if self.what not in get_args(What):
            raise ConfigError(f"supported: what is {one_line(str(self.what))!r}", hint=f"one of: {', '.join(get_args(What))}")
        if isinstance(self.passages, str):
            raise ConfigError("supported: passages are a list of texts, not one text", hint="[passage]")
        if self.extract:
            extractor(self.extract)

    def check(self, task: Task) -> None:
        """Refuse a task whose passages are missing or malformed, where none are given."""
        if not self.passages and not _of_task(task, self.key):
            raise ConfigError(
                f"the verifier supported looks for answers in passages, and task {task.id} has none",
                hint=f'"context": {{"{self.key}": [{{"title": ..., "text": ...}}]}}',
            )

    async def verify(self, task: Task, candidate: Candidate, ctx: Context | None = None) -> Verdict:
        passages = [_words(text) for text in self.passages or _of_task(task, self.key)]
        if not passages:
            return Verdict.abstain("no_passages", "there are no passages to look in")
        name = self.extract or task.extract
        answer = extractor(name)(candidate.text) if name else candidate.text.strip()
        if not answer:
            return Verdict.failed("no answer could be read from the text", reason="no_answer")
        at = None if self.what == "quotes" else _place(answer, passages)
        if at is not None:
            return Verdict.passed(evidence={"answer": one_line(answer, 500), "passage": at})
        quotes = [] if self.what == "answer" else _quotes(candidate.text)
        if quotes:
            return _quoted(quotes, passages)
        if self.what != "quotes":
            if normalized(answer) in CLOSED:
                return Verdict.abstain("closed_answer", "yes and no are no quotation; quote what the answer rests on")
            return _unsupported([answer], 0.0)
        return Verdict.failed("the text quotes nothing; quote the passage that the answer rests on", reason="no_quotes")


def _quoted(quotes: Sequence[str], passages: Sequence[str]) -> Verdict:
    places = {quote: _place(quote, passages) for quote in quotes}
    if missing := [quote for quote, at in places.items() if at is None]:
        return _unsupported(missing, (len(places) - len(missing)) / len(places))
    return Verdict.passed(evidence={"quotes": [{"quote": one_line(q, 500), "passage": at} for q, at in places.items()]})


def _unsupported(missing: Sequence[str], score: float) -> Verdict:
    told = "; ".join(f'"{one_line(text, 200)}"' for text in missing[:_TOLD])
    more = f" and {len(missing) - _TOLD} more" if len(missing) > _TOLD else ""
    evidence: dict[str, Json] = {"missing": [one_line(text, 500) for text in missing[:_MOST_QUOTES]]}
    return Verdict.failed(f"no passage contains {told}{more}", score=score, reason="unsupported", evidence=evidence)


def _quotes(text: str) -> list[str]:
    """What stands between quotation marks and holds a word, once each."""
    found = ("".join(match.groups(default="")) for match in _QUOTED.finditer(text))
    return list(dict.fromkeys(quote.strip() for quote in found if _words(quote)))[:_MOST_QUOTES]


def _place(quote: str, passages: Sequence[str]) -> int | None:
    """Number, from 1, of the first passage that holds the quotation's parts one behind the other; None if none does."""
    parts = [words for part in _ELLIPSIS.split(quote) if (words := _words(part))]
    return next((at for at, passage in enumerate(passages, 1) if parts and _holds(passage, parts)), None)


def _holds(passage: str, parts: Sequence[str]) -> bool:
    at, padded = 0, f" {passage} "
    for part in parts:
        found = padded.find(f" {part} ", at)
        if found < 0:
            return False
        at = found + len(part) + 1
    return True


@lru_cache(maxsize=1024)  # All candidates of a task are looked for in the same passages.
def _words(text: str) -> str:
    plain = _APOSTROPHES.sub("", unicodedata.normalize("NFKC", text)).casefold()
    return " ".join(word for word in _WORD.findall(plain) if word not in ("a", "an", "the"))


def _of_task(task: Task, key: str) -> list[str]:
    """The texts of a task's passages, titles included.

    Raises:
        ConfigError: they are no list of passages.
    """
    given = task.context.get(key, [])
    if not isinstance(given, list | tuple):
        raise ConfigError(f"task {task.id}: the context's {key} is no list", hint=f'"{key}": ["text", ...]')
    return [_text(task, key, passage) for passage in cast("Sequence[object]", given)]


def _text(task: Task, key: str, passage: object) -> str:
    if isinstance(passage, str):
        return passage
    if isinstance(passage, Mapping):
        fields = cast("Mapping[str, object]", passage)
        texts = [value for name in ("title", "text", "contents") if isinstance(value := fields.get(name), str)]
        if "text" in fields or "contents" in fields:
            return "\n".join(texts)
    raise ConfigError(
        f"task {task.id}: an entry of the context's {key} is no passage",
        hint='"text", {"title": ..., "text": ...} or {"contents": ...}',
    )
