"""The pointwise judge: the model scores an answer by a rubric.

It is a verifier like any other, and never an oracle: it sees the problem and the answer. What it cannot read it asks for
once more, with the error, and then abstains; no reply ever becomes a score that was not written in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

from ..core.candidate import Candidate
from ..core.errors import ConfigError, GenerationFailed, VerifierFailed
from ..core.ids import Json
from ..core.sampling import Sampling
from ..core.task import Task
from ..core.text import one_line
from ..core.verdict import Verdict
from .judging import JudgeSettings, read_labels
from .quoting import quote, wordless
from .rubric import Criterion, Rubric
from .structured import Form, Unreadable, a_text, an_object, ask, object_schema, read_json
from .templates import fill

if TYPE_CHECKING:
    from ..core.context import Context

_WHOLE, _BEGINNING = "The answer to judge:", "The beginning of an answer, to which more will be added, judged by what is there:"
_FEEDBACK = 4000


@dataclass(frozen=True, kw_only=True)
class Judged:
    """What the model said of an answer."""

    scores: Mapping[str, float]
    """By criterion, on the rubric's scale."""
    reasoning: str = ""


Found: TypeAlias = tuple[Judged | None, dict[str, Json]]
"""The judgement, None where there is none to be read, and what there is to be told of how it was come by."""


@dataclass(frozen=True, kw_only=True)
class LlmJudge(JudgeSettings):
    """Passes an answer whose criteria's weighted mean is at or above the threshold."""

    name: ClassVar[str] = "llm_judge"
    prompt_name: ClassVar[str] = "judge"
    oracle: ClassVar[bool] = False

    threshold: float = 0.75
    """Least score that passes, where 0 is the worst on all criteria and 1 the best."""
    judges_truncated: bool = False
    judges_prefixes: bool = False
    """Whether to judge the beginnings of answers, where a search goes step by step."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.threshold <= 1:
            raise ConfigError(f"{self.name}: threshold is {self.threshold}", hint="0 to 1")

    async def verify(self, task: Task, candidate: Candidate, ctx: Context | None = None) -> Verdict:
        """Judge an answer, or the beginning of one."""
        if ctx is None:
            raise VerifierFailed(f"{self.name} asks a model, and there is no run to ask it in", code="no_run")
        if wordless(candidate.text):
            return Verdict.failed("the answer has no words", reason="no_answer")
        rubric, source = self.rubric_for(task)
        answer = quote("answer", candidate.text, longest=self.longest)
        values = {
            "rubric": rubric.text(),
            "question": self.problem(task).block,
            "stage": _BEGINNING if candidate.partial else _WHOLE,
            "answer": answer.block,
        }
        try:
            said, about = await (self._written if self.by == "text" else self._read_off)(ctx, values, rubric)
        except GenerationFailed as e:
            raise VerifierFailed(e.message, code=e.code) from e
        evidence: dict[str, Json] = {"by": self.by, "rubric": {"from": source, "hash": rubric.hash}, **about}
        evidence |= {"threshold": self.threshold, "answer": answer.to_json()}
        return self._verdict(said, rubric, evidence)

    async def _written(self, ctx: Context, values: Mapping[str, str], rubric: Rubric) -> Found:
        sampling = Sampling(max_tokens=self.max_tokens, temperature=0.0)
        form = scores_form(rubric)
        asked = await ask(ctx, self._template, values, form, sampling, role=self.role, structured=self.structured, key="judge")
        if asked.value is None:
            return None, {"asked": asked.calls, "problem": asked.problem, "reply": one_line(asked.text, 500)}
        return asked.value, {"asked": asked.calls}

    async def _read_off(self, ctx: Context, values: Mapping[str, str], rubric: Rubric) -> Found:
        scores: dict[str, float] = {}
        masses: dict[str, Json] = {}
        for number, criterion in enumerate(rubric.criteria):
            prompt = fill(self._template, **values, form=_one_score(criterion, rubric))
            labels = [str(score) for score in rubric.scores]
            found = await read_labels(ctx, prompt, labels, role=self.role, key=f"judge.{number}")
            masses[criterion.name] = found.mass
            if not found.readable:
                problem = f"{criterion.name}: most likely the model would not have given a score"
                return None, {"asked": number + 1, "problem": problem, "mass": masses}
            scores[criterion.name] = sum(int(label) * p for label, p in found.probabilities.items())
        return Judged(scores=scores), {"asked": len(scores), "mass": masses}

    def _verdict(self, said: Judged | None, rubric: Rubric, evidence: dict[str, Json]) -> Verdict:
        if said is None:
            return Verdict.abstain("unparsable", "the judge could not be understood", evidence=evidence)
        score = rubric.unit(said.scores)
        feedback = "\n".join(part for part in (said.reasoning[:_FEEDBACK], _in_words(said.scores, rubric)) if part)
        evidence |= {"scores": dict(said.scores)}
        if score >= self.threshold:
            return Verdict.passed(score, feedback=feedback, evidence=evidence)
        return Verdict.failed(feedback, score=score, reason="below_threshold", evidence=evidence)


def scores_form(rubric: Rubric) -> Form[Judged]:
    """Reasons, and a score for each criterion."""
    names = [c.name for c in rubric.criteria]

    def of_json(value: object) -> Judged:
        found = an_object(value, "reasoning", "scores")
        given = an_object(found["scores"], *names)
        if unknown := sorted(given.keys() - set(names)):
            raise Unreadable(f"the rubric has no criterion {one_line(', '.join(unknown), 60)}")
        scores = {name: _score(given[name], name, rubric) for name in names}
        return Judged(scores=scores, reasoning=a_text(found["reasoning"], "reasoning"))

    each = ", ".join(f'"{name}": its score' for name in names)
    told = f'"reasoning" is a text that says what is wrong and where, "scores" an object {{{each}}}.'
    number: dict[str, Any] = {"type": "integer", "minimum": rubric.worst, "maximum": rubric.best}
    scores = object_schema(dict.fromkeys(names, number))
    return Form(
        text=f"Reply with a JSON object and nothing else: {told}",
        of_text=lambda reply: of_json(read_json(reply)),
        json=f"Reply with a JSON object: {told}",
        of_json=of_json,
        schema=object_schema({"reasoning": {"type": "string"}, "scores": scores}),
    )


def _score(value: object, name: str, rubric: Rubric) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise Unreadable(f"the score for {name} is no integer")
    if value not in rubric.scores:
        raise Unreadable(f"the score for {name} is {one_line(str(value), 20)}, not {rubric.worst} to {rubric.best}")
    return value


def _one_score(criterion: Criterion, rubric: Rubric) -> str:
    return (
        f"Score the answer on the criterion {criterion.name!r} alone. Reply with one integer "
        f"from {rubric.worst} (worst) to {rubric.best} (best) and nothing else."
    )


def _in_words(scores: Mapping[str, float], rubric: Rubric) -> str:
    each = ", ".join(f"{name} {score:.3g}" for name, score in scores.items())
    return f"Scores from {rubric.worst} to {rubric.best}: {each}"
