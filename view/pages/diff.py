"""Two runs side by side: where they part, what came of each, what each cost."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import Response

from ...core.ids import Json
from ...traces import browse
from ...traces.diff import Comparison, Difference, Part, compare_runs
from ..render import page, reader_of

if TYPE_CHECKING:
    from ...traces.reader import Reader

_JSON = ("settings", "budget", "engines")
_LEAD, _SHOWN = 400, 4000
"""Characters of a text before the place where two part, and in all."""
_USED = ("calls", "failed_calls", "prompt_tokens", "cached_tokens", "output_tokens", "verdicts", "abstentions", "usd", "seconds")
HOW = {
    "asked": "they asked for different things",
    "answered": "what came of it differs",
    "only_a": "only A has it",
    "only_b": "only B has it",
}


@dataclass(frozen=True, kw_only=True)
class Pair:
    """One thing of which two runs have each their own."""

    name: str
    a: str | None
    b: str | None
    same: int = 0
    """Characters at the beginning of both that are the same."""
    skipped: int = 0
    """Characters before these that are left out."""


def diff(request: Request) -> Response:
    """Answer `/diff?a=ID&b=ID`; without both it asks for them."""
    reader = reader_of(request)
    a, b = (request.query_params.get(name, "").strip() for name in "ab")
    if not (a and b):
        return page(request, "diff_ask.html", a=a, b=b)
    first, second = reader.run(a), reader.run(b)
    made = compare_runs(reader, first.id, second.id)
    return page(
        request,
        "diff.html",
        a=first,
        b=second,
        made=made,
        how=HOW,
        facts=_facts(reader, made),
        firsts=[
            (part, _pairs(reader, part.first), [_page(reader, run, part, part.first.position) for run in (first.id, second.id)])
            for part in made.parts
            if part.first is not None
        ],
        usage=[(name, *(getattr(used, name) for used in made.usage)) for name in _USED],
    )


def _facts(reader: Reader, made: Comparison) -> list[Pair]:
    """What the runs were to do, where it differs; of JSON objects the keys that differ, of texts where they part."""
    pairs: list[Pair] = []
    for name, (a, b) in made.facts.items():
        if name.endswith("_sha"):
            pairs.append(_parted(name.removesuffix("_sha"), reader.text(str(a)), reader.text(str(b))))
        elif name in _JSON:
            pairs += _keys(name, json.loads(str(a)), json.loads(str(b)))
        else:
            pairs.append(Pair(name=name, a=_text(a), b=_text(b)))
    return pairs


def _keys(name: str, a: Json, b: Json) -> list[Pair]:
    if not (isinstance(a, Mapping) and isinstance(b, Mapping)):
        return [Pair(name=name, a=_text(a), b=_text(b))]
    keys = [key for key in dict.fromkeys((*a, *b)) if a.get(key) != b.get(key)]
    return [Pair(name=f"{name}.{key}", a=_text(a.get(key)), b=_text(b.get(key))) for key in keys]


def _pairs(reader: Reader, first: Difference) -> list[Pair]:
    """What differs in the first difference of a kind; stored texts from shortly before the place where they part."""
    a, b = first.a or {}, first.b or {}
    pairs: list[Pair] = []
    for name in dict.fromkeys((*a, *b)):
        if name == "request_hash":
            continue
        if name.endswith("_sha"):
            one, other = (None if side.get(name) is None else reader.text(str(side[name])) for side in (a, b))
            if one is not None or other is not None:
                pairs.append(_parted(name.removesuffix("_sha"), one, other))
        elif a.get(name) is not None or b.get(name) is not None:
            pairs.append(Pair(name=name, a=_value(a, name), b=_value(b, name)))
    return pairs


def _page(reader: Reader, run: str, part: Part, position: str) -> str:
    """The page of what stands at a position; empty if it has none."""
    if part.what == "call":
        seq = browse.seq_at(reader, run, position)
        return f"/runs/{run}/calls/{seq}" if seq is not None else ""
    id = browse.candidate_at(reader, run, position) if part.what in ("candidate", "verdict") else None
    return f"/runs/{run}/candidates/{id}" if id is not None else ""


def _parted(name: str, a: str | None, b: str | None) -> Pair:
    at = 0 if a is None or b is None else _parting(a, b)
    start = max(0, at - _LEAD)
    a, b = (None if text is None else text[start : start + _SHOWN] for text in (a, b))
    return Pair(name=name, a=a, b=b, same=at - start, skipped=start)


def _parting(a: str, b: str) -> int:
    """The first character at which two texts differ."""
    pairs = enumerate(zip(a, b, strict=False))
    return next((at for at, (x, y) in pairs if x != y), min(len(a), len(b)))


def _value(side: Mapping[str, Json], name: str) -> str | None:
    return _text(side[name]) if name in side else None


def _text(value: Json) -> str:
    return "–" if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
