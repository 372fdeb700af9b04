"""The pairwise judge: which of two answers is better, asked in both orders.

Models prefer what stands first, or second, whatever it is. So an answer wins only if it does from both places; where
the orders disagree it is a tie, and where either cannot be read there is no result.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Literal, TypeAlias

from ..core.candidate import Candidate
from ..core.errors import ConfigError, GenerationFailed
from ..core.ids import Json
from ..core.sampling import Sampling
from ..core.text import one_line
from ..core.together import together
from .judging import JudgeSettings, read_labels
from .quoting import quote, wordless
from .structured import Form, Unreadable, a_text, an_object, ask, object_schema, read_json
from .templates import fill

if TYPE_CHECKING:
    from ..core.context import Context

Side: TypeAlias = Literal["first", "second", "tie"]
_SIDES: dict[str, Side] = {"1": "first", "2": "second", "tie": "tie"}
_SWAPPED: dict[Side, Side] = {"first": "second", "second": "first", "tie": "tie"}
_WORTH: dict[Side, float] = {"first": 1.0, "tie": 0.5, "second": 0.0}


@dataclass(frozen=True, kw_only=True)
class Opinion:
    """What the model said in one order, told of the candidates as they were given."""

    better: Side | None
    """None if it could not be read."""
    preference: float | None = None
    """How much the first is preferred, from 0 to 1; None if it could not be read."""
    reasoning: str = ""
    problem: str = ""
    """Why it could not be read."""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Which of two candidates is better."""

    winner: Side | None
    """`tie` also where the two orders disagree; None if an order could not be read."""
    opinions: tuple[Opinion, ...] = ()
    """In the order as given, then in the other; empty where the texts alone decided."""

    @property
    def preference(self) -> float | None:
        """How much the first is preferred over both orders, from 0 to 1; None if an order could not be read."""
        said = [o.preference for o in self.opinions]
        known = [p for p in said if p is not None]
        if not self.opinions:
            return None if self.winner is None else _WORTH[self.winner]
        return sum(known) / len(known) if len(known) == len(said) else None

    def to_json(self) -> dict[str, Json]:
        """Plain form for storing."""
        opinions: list[Json] = [
            {"better": o.better, "preference": o.preference, "reasoning": o.reasoning, "problem": o.problem}
            for o in self.opinions
        ]
        return {"winner": self.winner, "preference": self.preference, "opinions": opinions}


@dataclass(frozen=True, kw_only=True)
class PairwiseJudge(JudgeSettings):
    """Compares two candidates of a run; its calls are recorded as a verifier's."""

    name: ClassVar[str] = "pairwise_judge"
    prompt_name: ClassVar[str] = "judge_pair"

    async def __call__(self, ctx: Context, first: Candidate, second: Candidate, *, key: str | None = None) -> Comparison:
        """Compare two candidates; a call that fails leaves its order unread.

        Args:
            ctx: where in the run the comparison stands.
            first: one candidate.
            second: the other.
            key: name of the comparison at this place; without one comparisons are numbered as they begin.
        """
        scope = replace(ctx.scope(key), purpose="verifier")
        if first.text == second.text:
            return Comparison(winner="tie")
        match wordless(first.text), wordless(second.text):
            case (True, True):
                return Comparison(winner="tie")
            case (True, False):
                return Comparison(winner="second")
            case (False, True):
                return Comparison(winner="first")
            case _:
                pass
        given, other = await together(
            [self._opinion(scope, first, second, "given"), self._opinion(scope, second, first, "swapped")]
        )
        swapped = replace(
            other,
            better=other.better and _SWAPPED[other.better],
            preference=None if other.preference is None else 1 - other.preference,
        )
        if given.better is None or swapped.better is None:
            return Comparison(winner=None, opinions=(given, swapped))
        return Comparison(winner=given.better if given.better == swapped.better else "tie", opinions=(given, swapped))

    async def _opinion(self, ctx: Context, first: Candidate, second: Candidate, key: str) -> Opinion:
        """What the model says in one order."""
        rubric, _ = self.rubric_for(ctx.task)
        values = {
            "rubric": rubric.text(),
            "question": self.problem(ctx.task).block,
            "first": quote("answer-1", first.text, longest=self.longest).block,
            "second": quote("answer-2", second.text, longest=self.longest).block,
        }
        try:
            if self.by == "probability":
                return await self._read_off(ctx, fill(self._template, **values, form=_ONE_TOKEN), key)
            sampling = Sampling(max_tokens=self.max_tokens, temperature=0.0)
            asked = await ask(
                ctx, self._template, values, pair_form(), sampling, role=self.role, structured=self.structured, key=key
            )
        except GenerationFailed as e:
            return Opinion(better=None, problem=one_line(e.message, 300))
        return asked.value or Opinion(better=None, problem=asked.problem)

    async def _read_off(self, ctx: Context, prompt: str, key: str) -> Opinion:
        found = await read_labels(ctx, prompt, ("1", "2"), role=self.role, key=key)
        if not found.readable:
            return Opinion(better=None, problem="most likely the model would have named neither")
        preference = found.probabilities["1"]
        better: Side = "tie" if preference == 0.5 else "first" if preference > 0.5 else "second"
        return Opinion(better=better, preference=preference)


async def knockout(
    ctx: Context, candidates: Sequence[Candidate], judge: PairwiseJudge | None = None, *, key: str = "knockout"
) -> Candidate:
    """The candidate that is left after rounds of comparisons in pairs, of which there are one less than candidates.

    Where a comparison is a tie or has no result, the one that stands earlier goes on.

    Raises:
        ConfigError: there are no candidates.
    """
    if not candidates:
        raise ConfigError("knockout: there are no candidates", hint="give at least one")
    judge, left = judge or PairwiseJudge(), list(candidates)
    scope, number = ctx.scope(key), 0
    while len(left) > 1:
        number += 1
        pairs = [(left[i], left[i + 1]) for i in range(0, len(left) - 1, 2)]
        results = await together([judge(scope, a, b, key=f"{number}.{i}") for i, (a, b) in enumerate(pairs)])
        winners = [b if result.winner == "second" else a for (a, b), result in zip(pairs, results, strict=True)]
        left = winners + left[len(pairs) * 2 :]
    return left[0]


_ONE_TOKEN = "Reply with the number of the better answer, 1 or 2, and nothing else."


def pair_form() -> Form[Opinion]:
    """Reasons, and which of the two is better."""

    def of_json(value: object) -> Opinion:
        found = an_object(value, "reasoning", "better")
        written = found["better"]
        said = str(written) if isinstance(written, int | str) and not isinstance(written, bool) else ""
        if said not in _SIDES:
            raise Unreadable('"better" is neither "1" nor "2" nor "tie"')
        side = _SIDES[said]
        return Opinion(better=side, preference=_WORTH[side], reasoning=a_text(found["reasoning"], "reasoning"))

    told = (
        '"reasoning" is a text that says what speaks for and against each answer, "better" is "1" or "2", the number of the '
        'better answer, or "tie".'
    )
    return Form(
        text=f"Reply with a JSON object and nothing else: {told}",
        of_text=lambda reply: of_json(read_json(reply)),
        json=f"Reply with a JSON object: {told}",
        of_json=of_json,
        schema=object_schema({"reasoning": {"type": "string"}, "better": {"type": "string", "enum": list(_SIDES)}}),
    )
