"""The verification agent: the model judges a plan, or its beginning, against the task's constraints (PlanGEN, section 2.1).

It is a verifier like any other: it abstains where it cannot be understood, its calls are recorded as the verifier's, and
programmatic verifiers can stand before it (`first_of`) or beside it (`all_of`). Nothing in the judged text is read as its
own word: the text is fenced, and what the model repeats of it is dropped before a score is looked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar, Literal, cast

from ..core.candidate import Candidate
from ..core.errors import ConfigError, GenerationFailed, VerifierFailed
from ..core.ids import Json, json_hash
from ..core.sampling import Sampling
from ..core.task import Task
from ..core.text import one_line
from ..core.verdict import Verdict
from .constraints import ConstraintAgent, shared_constraints
from .judgement import BEST, WORST, Judgement, items_form, score_form, unit
from .structured import Asked, ask, fenced, listed
from .templates import load

if TYPE_CHECKING:
    from ..core.context import Context

_WHOLE = "This is a plan as it was handed in."
_BEGINNING = "This is the beginning of a plan; more steps will follow."
_NO_CONSTRAINTS = "(none beyond the problem itself)"


@dataclass(frozen=True, kw_only=True)
class VerificationAgent:
    """Passes a plan that the model scores at or above the threshold; the model's reasoning is the feedback."""

    name: ClassVar[str] = "verification_agent"
    oracle: ClassVar[bool] = False
    judges_prefixes: ClassVar[bool] = True

    threshold: int = 95
    """Least score that passes, from -100 to 100."""
    mode: Literal["score", "items"] = "score"
    """`score`: one integer for the whole plan, as in the paper. `items`: a verdict on each constraint, and a score from them."""
    constraints: Sequence[str] | None = None
    """What a plan has to satisfy. None takes the task's (`metadata["constraints"]`) or, where it has none, asks the
    constraint agent, once for all verdicts of a run."""
    kinds: Sequence[str] = ()
    """Kinds of constraint that the constraint agent looks for; empty for all."""
    max_tokens: int = 1024
    """Most tokens of one judgement; one that is cut cannot be read."""
    structured: bool = True
    """Whether to have the form of the reply enforced where the engine can."""
    template: str = ""
    """Fields `question`, `constraints`, `stage`, `plan`, `form`; empty for the mode's own."""
    role: str = "judge"
    """Role whose engine judges."""
    judges_truncated: bool = False

    def __post_init__(self) -> None:
        if not WORST <= self.threshold <= BEST:
            raise ConfigError(f"{self.name}: threshold is {self.threshold}", hint=f"{WORST} to {BEST}")
        if self.mode not in ("score", "items"):
            raise ConfigError(f"{self.name}: mode is {self.mode!r}", hint="score or items")
        if self.constraints is not None and not _texts(self.constraints):
            raise ConfigError(
                f"{self.name}: constraints is no list of texts", hint='a list: ["it lasts one hour", "it is on Monday"]'
            )
        if self.max_tokens < 1:
            raise ConfigError(f"{self.name}: max_tokens is {self.max_tokens}", hint="at least 1")

    @cached_property
    def version(self) -> str:
        """Changes with every setting that changes a judgement."""
        given = None if self.constraints is None else list(self.constraints)
        settings = [self.threshold, self.mode, given, list(self.kinds), self.max_tokens, self.structured, self._template]
        return f"1 {json_hash([*settings, self.role, self.judges_truncated])[:8]}"

    @cached_property
    def _template(self) -> str:
        return self.template or load("verification" if self.mode == "score" else "verification_items")

    def check(self, task: Task) -> None:
        """Refuse a task whose metadata has constraints that are no list of texts."""
        if self.constraints is None:
            of_task(task)

    async def verify(self, task: Task, candidate: Candidate, ctx: Context | None = None) -> Verdict:
        """Judge a plan, or the beginning of one."""
        if ctx is None:
            raise VerifierFailed(f"{self.name} asks a model, and there is no run to ask it in", code="no_run")
        try:
            constraints, source = await self._constraints(task, ctx)
            about: dict[str, Json] = {"mode": self.mode, "constraints": list(constraints), "constraints_from": source}
            if self.mode == "items" and not constraints:
                return Verdict.abstain("no_constraints", "there is no constraint to hold the plan against", evidence=about)
            return self._verdict(await self._ask(task, candidate, constraints, ctx), about)
        except GenerationFailed as e:
            raise VerifierFailed(e.message, code=e.code) from e

    async def _constraints(self, task: Task, ctx: Context) -> tuple[tuple[str, ...], str]:
        """The constraints, and where they come from."""
        if self.constraints is not None:
            return tuple(self.constraints), "settings"
        if (known := of_task(task)) is not None:
            return known, "task"
        found = await shared_constraints(ctx, ConstraintAgent(), self.kinds)
        return found.items, "constraint agent"

    async def _ask(self, task: Task, candidate: Candidate, constraints: Sequence[str], ctx: Context) -> Asked[Judgement]:
        plan = fenced("plan", candidate.text)
        values = {
            "question": task.prompt,
            "constraints": listed(constraints, none=_NO_CONSTRAINTS),
            "stage": _BEGINNING if candidate.partial else _WHOLE,
            "plan": plan,
        }
        form = score_form(plan) if self.mode == "score" else items_form(constraints)
        sampling = Sampling(max_tokens=self.max_tokens, temperature=0.0)
        return await ask(ctx, self._template, values, form, sampling, role=self.role, structured=self.structured, key="judge")

    def _verdict(self, asked: Asked[Judgement], about: dict[str, Json]) -> Verdict:
        evidence: dict[str, Json] = {**about, "threshold": self.threshold, "asked": asked.calls}
        said = asked.value
        if said is None:
            evidence |= {"problem": asked.problem, "reply": one_line(asked.text, 500)}
            return Verdict.abstain("unparsable", "the verification agent could not be understood", evidence=evidence)
        if said.items:
            evidence["items"] = said.items
        if said.score is None:
            return Verdict.abstain("undecided", said.feedback, evidence=evidence)
        evidence["score"] = said.score
        if said.score >= self.threshold and not said.broken:
            return Verdict.passed(unit(said.score), feedback=said.feedback, evidence=evidence)
        reason = "constraints" if said.broken else "below_threshold"
        return Verdict.failed(said.feedback, score=unit(said.score), reason=reason, evidence=evidence)


def of_task(task: Task) -> tuple[str, ...] | None:
    """The constraints that a task brings along in `metadata["constraints"]`; None if it brings none.

    Raises:
        ConfigError: they are no list of texts.
    """
    given = task.metadata.get("constraints")
    if given is None:
        return None
    if not _texts(given):
        raise ConfigError("the task's metadata.constraints is no list of texts", hint='"constraints": ["it lasts one hour"]')
    return tuple(cast("Sequence[str]", given))


def _texts(value: object) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(item, str) for item in cast("Sequence[object]", value))
