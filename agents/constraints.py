"""The constraint agent: lists what a solution of the task has to satisfy, before anything is proposed (PlanGEN, section 2.1).

It is asked for prose in list form and reads whatever kind of list comes back; a problem without constraints gives an
empty list, which is a result like any other.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal
from weakref import WeakKeyDictionary

from ..core.claims import Claims
from ..core.context import Context
from ..core.ids import Json
from ..core.prompt import Prompt
from ..core.sampling import Sampling
from .templates import fill, load

_MARK = re.compile(r"([ \t]*)(?:[-*•–‣◦+]|\(?(?:[0-9]{1,3}|[a-zA-Z]|[ivx]{1,4})[.)])[ \t]+(?=\S)(.*)")
_NONE = re.compile(
    r"(?:there (?:are|is) )?(?:none|n/a|nothing|not applicable|no (?:\w+ ){0,2}constraints?(?: (?:(?:are|were) )?\w+)?)"
    r"(?: (?:in|for) (?:this|the) \w+)?[.!]?",
    re.IGNORECASE,
)
_PROSE = re.compile(r"\n+|(?<=[a-z0-9)\]]{2}[.;])\s+(?=[A-Z0-9])")
_ANY_KIND = "whatever kinds there are: amounts, times, order, resources, rules, the form of the answer"
_ANY_FORM = "one constraint on each line, each line beginning with `- `; nothing else"


@dataclass(frozen=True)
class Constraints:
    """What a solution has to satisfy."""

    items: tuple[str, ...] = ()
    """One constraint each, on one line; empty if the problem has none."""
    text: str = ""
    """What the model wrote."""

    def to_json(self) -> dict[str, Json]:
        """Plain form for storing."""
        return {"items": list(self.items), "text": self.text}

    @staticmethod
    def from_json(value: Mapping[str, Any]) -> Constraints:
        """Read the plain form."""
        return Constraints(tuple(value["items"]), value["text"])


@dataclass(frozen=True, kw_only=True)
class ConstraintAgent:
    """Finds the constraints of the run's task in one call."""

    template: str = field(default_factory=lambda: load("constraint"))
    """Fields `question`, `kinds`, `form`."""
    sampling: Sampling = field(default_factory=lambda: Sampling(max_tokens=512, temperature=0.0))
    role: str = "constraint"
    """Role whose engine answers."""
    most: int = 50
    """Most constraints kept; a model that goes round in circles writes more."""

    async def __call__(self, ctx: Context, *, kinds: Sequence[str] = (), form: str = "", key: str | None = None) -> Constraints:
        """The task's constraints.

        Args:
            ctx: where in the run the call stands.
            kinds: kinds of constraint to look for in this domain; empty for all.
            form: how to write them down; empty for a bulleted list.
            key: key of the call.

        Raises:
            GenerationFailed: the call failed.
        """
        wanted = {"kinds": ", ".join(kinds) or _ANY_KIND, "form": form or _ANY_FORM}
        prompt = Prompt.of(fill(self.template, question=ctx.task.prompt, **wanted))
        completion = await ctx.generate(prompt, self.sampling, role=self.role, key=key)
        items = items_of(completion.text, cut=completion.finish_reason in ("length", "aborted"))
        return Constraints(items[: self.most], completion.text)


def items_of(text: str, *, cut: bool = False) -> tuple[str, ...]:
    """The entries of a numbered or bulleted list, or the sentences of prose; each once, in order.

    An entry that ends in a colon is a heading and goes before each of the deeper entries below it. Of a text that was
    `cut` the last entry is dropped.
    """
    lines = [line.expandtabs(4) for line in text.splitlines() if not line.strip().startswith("```")]
    if any(_MARK.fullmatch(line) for line in lines):
        found = _marked(lines)
    else:
        found = [part for part in _PROSE.split("\n".join(lines)) if not part.strip().endswith(":")]
    plain = [_plain(item) for item in (found[:-1] if cut else found)]
    once: dict[str, str] = {}
    for item in plain:
        if item and not _NONE.fullmatch(item):
            once.setdefault(item.casefold(), item)
    return tuple(once.values())


def _marked(lines: Sequence[str]) -> list[str]:
    """Entries of a list with marks. Lines without a mark belong to the entry or heading above, unless a blank line parts them."""
    found: list[str] = []
    headings: list[tuple[int, str]] = []
    above: Literal["entry", "heading", "nothing"] = "nothing"
    for line in lines:
        match = _MARK.fullmatch(line)
        if match is None and not line.strip():
            above = "nothing"
        elif match is None and above == "entry":
            found[-1] += f" {line.strip()}"
        elif match is None and above == "nothing":
            continue
        else:
            indent, entry = (len(match.group(1)), _plain(match.group(2))) if match else (len(line), _plain(line))
            headings = [h for h in headings if h[0] < indent]
            above = "heading" if entry.endswith(":") else "entry"
            if above == "entry":
                found.append(" ".join((*(h[1] for h in headings), entry)))
            else:
                headings.append((indent, entry))
    return found


def _plain(item: str) -> str:
    return " ".join(item.replace("**", "").replace("__", "").split()).strip("*;")


class _Shared:
    """The constraints that one run found, and whose turn it is to ask for them."""

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.found: Constraints | None = None


_SHARED: WeakKeyDictionary[Claims, dict[str, _Shared]] = WeakKeyDictionary()
"""By the run's claims, of which each run has one for each process that it runs in."""


async def shared_constraints(ctx: Context, agent: ConstraintAgent, kinds: Sequence[str] = (), form: str = "") -> Constraints:
    """The task's constraints for one of many verdicts that run at the same time and need the same: one call serves them all.

    The first to come asks, and that call is recorded as its own; each of the others records, at its own position, what
    it was given. So each verdict is answered from what is recorded below it, whichever others are there on resume.
    If the one that asks fails or is cancelled, the next one asks.

    Raises:
        GenerationFailed: the call failed.
    """
    call, taken = "constraints", "constraints.taken"
    request: dict[str, Json] = {"kinds": list(kinds), "form": form}
    of_run = _SHARED.setdefault(ctx.run.claims, {})
    shared = of_run.setdefault(repr((agent, request)), _Shared())

    async def give() -> Json:
        assert shared.found is not None
        return shared.found.to_json()

    record = ctx.run.journal.call(f"{ctx.position}/{taken}")
    if not (record and record.state == "ok"):
        async with shared.lock:
            if shared.found is None or ctx.run.journal.call(f"{ctx.position}/{call}"):
                shared.found = await agent(ctx, kinds=kinds, form=form, key=call)
                return shared.found
    found = Constraints.from_json(await ctx.effect("constraints", request, give, key=taken))
    shared.found = shared.found or found
    return found
