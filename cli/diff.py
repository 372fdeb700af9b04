"""`burnish runs diff`: where two runs part, in words and in JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..core.ids import Json, canonical_json
from ..core.text import one_line, printable
from . import completion
from .lookup import reader
from .options import AsJson, Store
from .output import emit, show, show_table

if TYPE_CHECKING:
    from ..traces.diff import Comparison, Difference, Part
    from ..traces.reader import Reader

_PLAIN = ("task_id", "graph", "seed", "code_version")
_JSON = ("settings", "budget", "engines")
_LEAD, _SHOWN = 40, 160
"""Characters of an excerpt before the place where two texts part, and in all."""
_WORDS = {"asked": "they asked for different things", "answered": "what came of it differs", "only_a": "only A has it"}
_WORDS["only_b"] = "only B has it"


def diff(
    a: Annotated[str, typer.Argument(metavar="A", help="A run, by some digits of its id.", autocompletion=completion.runs)],
    b: Annotated[str, typer.Argument(metavar="B", help="The other run.", autocompletion=completion.runs)],
    store: Store = None,
    as_json: AsJson = False,
) -> int:
    """Show where two runs part: the first step, call, candidate, verdict and choice that differ, the answer, the cost.

    Facts are the same if they stand at the same position and say the same; ids, times and token counts do not matter.

    With --json, data is {a, b, same, facts: {name: [a, b]}, parts: [{what, same, differ, only_a, only_b, first: {position, how,
    a, b, texts}}], ends: {name: [a, b]}, usage: [a, b]}.
    """
    from ..traces.diff import compare_runs

    with reader(store) as found:
        made = compare_runs(found, found.resolve(a), found.resolve(b))
        if as_json:
            parts = [{**asdict(part), "first": part.first and _first_json(found, part.first)} for part in made.parts]
            facts = {name: [_value(name, v) for v in pair] for name, pair in made.facts.items()}
            emit({**asdict(made), "same": made.same, "facts": facts, "parts": parts})
        else:
            _print(found, made)
    return 0


def _print(reader: Reader, made: Comparison) -> None:
    show(f"A {made.a}")
    show(f"B {made.b}")
    for name, pair in made.facts.items():
        if name in _PLAIN:
            show(f"{name}: {one_line(str(pair[0]))} | {one_line(str(pair[1]))}")
        elif name in _JSON:
            show(f"{name}: {' | '.join(_apart(*(_value(name, v) for v in pair)))}")
        else:
            show(f"{name.removesuffix('_sha')}: differs")
    show()
    rows = [[p.what, f"{p.same:,}", f"{p.differ:,}", f"{p.only_a:,}", f"{p.only_b:,}"] for p in made.parts]
    show_table(["", "SAME", "DIFFER", "ONLY A", "ONLY B"], rows)
    for part in made.parts:
        if part.first is not None:
            _print_first(reader, part, part.first)
    show()
    if made.same:
        show("the runs did and said the same")
    for name, pair in made.ends.items():
        if name != "answer_sha":
            show(f"{name}: {' | '.join('-' if v is None else one_line(str(v), 200) for v in pair)}")
    first, second = made.usage
    for name in ("calls", "prompt_tokens", "output_tokens", "verdicts", "usd", "seconds"):
        x, y = getattr(first, name), getattr(second, name)
        digits = {"usd": ".4f", "seconds": ".2f"}.get(name, ",")
        show(f"{name.replace('_', ' ')}: {x:{digits}} | {y:{digits}}")


def _print_first(reader: Reader, part: Part, first: Difference) -> None:
    show()
    show(f"first {part.what}, at {printable(first.position)}: {_WORDS[first.how]}")
    if first.a is not None and first.b is not None:
        for name in first.a:
            if not name.endswith("_sha") and name != "request_hash":
                show(f"  {name}: {_short(first.a[name])} | {_short(first.b[name])}")
    for name, told in _texts(reader, first).items():
        where = f", apart from character {told['at']:,} on" if told["at"] is not None else ""
        show(f"  {name}{where}:")
        for side in "ab":
            if told[side] is not None:
                show(f"    {side.upper()}: {one_line(told[side], _SHOWN)}")


def _first_json(reader: Reader, first: Difference) -> dict[str, Any]:
    return {**asdict(first), "texts": _texts(reader, first)}


def _texts(reader: Reader, first: Difference) -> dict[str, dict[str, Any]]:
    """Excerpts of the stored texts of a difference, from shortly before the place where they part."""
    found: dict[str, dict[str, Any]] = {}
    names = [n for n in (first.a or first.b or {}) if n.endswith("_sha")]
    for name in names:
        a, b = (_text(reader, side, name) for side in (first.a, first.b))
        at = _parting(a, b) if a is not None and b is not None else None
        start = max(0, (at or 0) - _LEAD)
        cut = {side: None if text is None else text[start : start + _SHOWN] for side, text in (("a", a), ("b", b))}
        if a is not None or b is not None:
            found[name.removesuffix("_sha")] = {"at": at, **cut}
    return found


def _parting(a: str, b: str) -> int:
    """The first character at which two texts differ."""
    pairs = enumerate(zip(a, b, strict=False))
    return next((at for at, (x, y) in pairs if x != y), min(len(a), len(b)))


def _text(reader: Reader, side: Mapping[str, Json] | None, name: str) -> str | None:
    sha = side[name] if side is not None else None
    return reader.text(str(sha)) if sha is not None else None


def _value(name: str, stored: Json) -> Json:
    return json.loads(stored) if name in _JSON and isinstance(stored, str) else stored


def _apart(a: Json, b: Json) -> tuple[str, str]:
    """Two values on one line each; of objects only the keys whose values differ."""
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        keys = [k for k in dict.fromkeys((*a, *b)) if k not in a or k not in b or a[k] != b[k]]
        a, b = ({k: side[k] for k in keys if k in side} for side in (a, b))
    return one_line(canonical_json(a), 200), one_line(canonical_json(b), 200)


def _short(value: Json) -> str:
    return "-" if value is None else one_line(str(value), 100)
