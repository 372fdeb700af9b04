"""The end of a run in words, in JSON, and as an exit status."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from ..core.ids import Json, as_json
from ..core.result import Result
from ..core.runs import Usage
from ..core.text import one_line
from ..core.verdict import Verdict
from .errors import BUDGET, FAILURE, OK, UNVERIFIED
from .output import count, number, short, show_table

_SHOWN = 100
"""Most rows of the table of a batch."""
COLOURS = {
    "verified": "green",
    "pass": "green",
    "rejected": "red",
    "failed": "red",
    "fail": "red",
    "unverified": "yellow",
    "no_answer": "yellow",
    "abstain": "yellow",
    "killed": "yellow",
    "interrupted": "yellow",
    "waiting": "yellow",
}
"""Of the words that say how something ended."""


def word(result: Result) -> str:
    """How a run ended, in one word: its outcome, or `failed`, `interrupted`, `waiting`."""
    if result.error is None:
        return str(result.outcome)
    return {"cancelled": "interrupted", "waiting": "waiting"}.get(result.error.code, "failed")


def status_of(result: Result) -> int:
    """Exit status of a single run that got to its end."""
    match result.outcome:
        case "verified":
            return OK
        case "rejected":
            return UNVERIFIED
        case "unverified":
            return UNVERIFIED if result.usage.verdicts else OK
        case _:
            return BUDGET if result.budget_limit else FAILURE


def result_json(result: Result) -> dict[str, Json]:
    """A result as `--json` gives it."""
    error = result.error
    return {
        "run_id": result.run_id,
        "task_id": result.task_id,
        "outcome": result.outcome,
        "verified": result.verified,
        "score": result.score,
        "answer": result.answer,
        "candidate_id": result.candidate_id,
        "grade": verdict_json(result.grade) if result.grade else None,
        "budget_limit": result.budget_limit,
        "usage": asdict(result.usage),
        "error": {"kind": error.code, "message": error.message, "hint": error.hint} if error else None,
    }


def verdict_json(verdict: Verdict) -> dict[str, Json]:
    """A verdict as `--json` gives it."""
    return {
        "outcome": verdict.outcome,
        "score": verdict.score,
        "reason": verdict.reason,
        "feedback": verdict.feedback,
        "evidence": as_json(verdict.evidence),
    }


def usage_lines(usage: Usage) -> list[str]:
    """What was used, the verifiers' part on a line of its own."""
    calls = count(usage.calls, "call") + (f" ({usage.failed_calls:,} failed)" if usage.failed_calls else "")
    cached = f", {usage.cached_tokens / usage.prompt_tokens:.0%} cached" if usage.prompt_tokens else ""
    tokens = f"{usage.prompt_tokens:,} prompt tokens{cached}, {usage.output_tokens:,} generated"
    money = f", ${usage.usd:.4f}" if usage.usd else ""
    judging = f"{count(usage.verdicts, 'verdict')}, {usage.abstentions:,} abstained"
    own = f", {usage.verifier_calls:,} of the calls, {usage.verifier_tokens:,} tokens" if usage.verifier_calls else ""
    return [f"usage: {calls}, {tokens}, {usage.seconds:.1f} s{money}", f"verifier: {judging}{own}"]


def summary_lines(result: Result, abstained: Sequence[str] = ()) -> list[str]:
    """What is said of a single run beside its answer; `abstained` why verifiers did not judge."""
    first = word(result) + (f", score {number(result.score)}" if result.score is not None else "")
    lines = [first]
    if result.budget_limit:
        lines.append(f"budget: the limit of {result.budget_limit} was met")
    if result.grade:
        score = f", score {number(result.grade.score)}" if result.grade.score is not None else ""
        lines.append(f"grade: {result.grade.outcome}{score}")
    return [*lines, *usage_lines(result.usage), *abstained, f"trace: burnish runs show {short(result.run_id)}"]


@dataclass(frozen=True)
class Totals:
    """A batch in numbers."""

    words: Counter[str]
    """How many runs ended with each word."""
    graded: int
    """Runs whose answer a grader judged."""
    right: int
    """Of those, the ones that it passed."""
    usage: Usage

    @staticmethod
    def of(results: Sequence[Result]) -> Totals:
        """Sum results up."""
        usage = {name: sum(getattr(r.usage, name) for r in results) for name in asdict(Usage())}
        grades = [r.grade for r in results if r.grade]
        return Totals(Counter(map(word, results)), len(grades), sum(g.outcome == "pass" for g in grades), Usage(**usage))

    def to_json(self) -> dict[str, Json]:
        """As `--json` gives it."""
        return {"outcomes": dict(self.words), "graded": self.graded, "right": self.right, "usage": asdict(self.usage)}

    def lines(self) -> list[str]:
        """In words."""
        ends = ", ".join(f"{n:,} {name}" for name, n in self.words.most_common()) or "no run ended"
        lines = [f"{count(sum(self.words.values()), 'run')}: {ends}"]
        if self.graded:
            lines.append(f"grade: {self.right:,} of {self.graded:,} right ({self.right / self.graded:.1%})")
        return [*lines, *usage_lines(self.usage)]


def result_row(result: Result) -> list[str]:
    """A result as a row: task, run, how it ended, score, grade, answer or error."""
    text = result.error.message if result.error else result.answer or ""
    grade = result.grade.outcome if result.grade else "-"
    return [result.task_id, short(result.run_id), word(result), number(result.score), grade, one_line(text, 200)]


def show_results(results: Sequence[Result]) -> int:
    """Print the table of a batch. Returns how many rows were left out."""
    rows = results[:_SHOWN]
    show_table(["TASK", "RUN", "ENDED", "SCORE", "GRADE", "ANSWER"], [result_row(r) for r in rows], COLOURS)
    return len(results) - len(rows)
