"""An audit as tables, sentences and JSON."""

from __future__ import annotations

from collections.abc import Mapping

from ..core.ids import Json, canonical_json
from ..core.text import one_line
from ..stats import Audit, Interval
from .audit import OWN
from .audit_choice import Choice
from .audit_result import AuditResult, Rates
from .outlook import PRECISION, Outlook

Rows = list[list[str]]

_HEAD = ["RIGHT", "WRONG", "FALSE ACCEPTS", "FALSE REJECTS", "ABSTAINED"]


def rate_rows(result: AuditResult) -> Rows:
    """Header and rows: the errors on all answers, and on each model's where there are several."""
    rows = [["ANSWERS", *_HEAD], ["all", *_cells(Rates.of(result.judged))]]
    by_model = result.by_model()
    if len(by_model) > 1:
        rows += [[name or "(unknown)", *_cells(rates)] for name, rates in by_model.items()]
    return rows


def attempt_rows(result: AuditResult) -> Rows:
    """Header and rows: the errors by attempt, and how many first accepts of a task are right there.

    Empty where each task has one answer.
    """
    found, firsts = result.by_attempt(), result.first_accepts()
    if len(found) < 2:
        return []
    rows = [["ATTEMPT", *_HEAD, "FIRST ACCEPTS RIGHT"]]
    for span, rates in found.items():
        right, wrong = firsts.get(span, (0, 0))
        rows.append([_span(span), *_cells(rates), f"{right:,} of {right + wrong:,}" if right + wrong else "-"])
    return rows


def choice_rows(result: AuditResult) -> Rows:
    """Header and rows: how often the best of k samples by the verifier is right. Empty where the answers are no samples."""
    choice = Choice.of(result)
    return choice.rows() if choice is not None else []


def worth_rows(outlook: Outlook) -> Rows:
    """Header and rows: by the cost of a false accept, how many attempts are best and what they are worth."""
    most = len(next(iter(outlook.curves.values())).utilities) - 1
    ends = [1] if most == 1 else [1, most]
    rows = [["A FALSE ACCEPT COSTS", "BEST ATTEMPTS", "WORTH", *(f"WORTH OF {k}" for k in ends)]]
    for cost, curve in outlook.curves.items():
        best, how = outlook.best(cost)
        shown = {"samples": str(best), "unknown": f"{most} or more"}.get(how, f"{'no end' if best is None else best} (model)")
        worth = f"{curve.utilities[curve.best]:.2f}" if how == "samples" else f"from {curve.utilities[-1]:.2f}"
        rows.append([f"{cost:g}", shown, worth, *(f"{curve.utilities[k]:.2f}" for k in ends)])
    return rows


def verifier_text(result: AuditResult) -> str:
    """The audited verifier in a line."""
    if result.verifier == OWN:
        return "each task's own verifier"
    return result.verifier if isinstance(result.verifier, str) else canonical_json(result.verifier)


def lines(result: AuditResult, outlook: Outlook | None) -> list[str]:
    """What the tables do not say."""
    who = ", ".join(f"{name} {version}".strip() for name, version in result.verifiers)
    sees = "sees the reference" if result.oracle else "does not see the reference"
    tasks = len({j.task_id for j in result.judged})
    out = [f"{who}: {sees}; {tasks:,} {'task' if tasks == 1 else 'tasks'}, answers from {result.source}"]
    tpr, fpr = (result.over_tasks(rate) for rate in ("tpr", "fpr"))
    if len(result.judged) > tasks:
        rates = (f"P(accept | {of}) {_interval(rate)}" for of, rate in (("right", tpr), ("wrong", fpr)))
        out.append(f"over tasks, whose answers are judged alike: {', '.join(rates)}")
    if result.ungraded:
        out.append(f"{result.ungraded:,} answers could not be graded and count nowhere")
    if result.reasons:
        out.append(f"abstained because: {', '.join(f'{reason} {n:,}' for reason, n in result.reasons.items())}")
    if outlook is not None:
        out += _outlook_lines(outlook, fpr)
    if (choice := Choice.of(result)) is not None:
        out += choice.lines()
    return [one_line(line, 300) for line in out]


def to_json(result: AuditResult, outlook: Outlook | None) -> dict[str, Json]:
    """All of it, for programs."""
    firsts, choice = result.first_accepts(), Choice.of(result)
    attempts: list[Json] = []
    for (first, last), rates in result.by_attempt().items():
        right, wrong = firsts.get((first, last), (0, 0))
        accepts: dict[str, Json] = {"right": right, "wrong": wrong}
        attempts.append({"first": first, "last": last, **_rates_json(rates), "first_accepts": accepts})
    return {
        "name": result.name,
        "batch_id": result.batch_id,
        "created_ns": result.created_ns,
        "verifier": result.verifier,
        "verifiers": [{"name": name, "version": version} for name, version in result.verifiers],
        "oracle": result.oracle,
        "source": result.source,
        "sampled": result.sampled,
        "tasks": len({j.task_id for j in result.judged}),
        "answers": len(result.judged),
        "ungraded": result.ungraded,
        "abstentions": dict(result.reasons),
        "all": _rates_json(Rates.of(result.judged)),
        "over_tasks": {rate: _json(result.over_tasks(rate)) for rate in ("tpr", "fpr", "precision")},
        "by_model": {name: _rates_json(rates) for name, rates in result.by_model().items()},
        "by_attempt": attempts,
        "choice": None if choice is None else choice.to_json(),
        "outlook": None if outlook is None else _outlook_json(outlook),
    }


def _outlook_lines(outlook: Outlook, fpr: Interval | None) -> list[str]:
    said = f"a sample is right with probability {outlook.accuracy:.2f}, an accepted one with {_interval(outlook.ceiling)}: "
    need = f"for {PRECISION:.0%} right ones among the accepted at most {outlook.allowed_fpr:.1%} of the wrong ones may pass"
    told = "no number of attempts leads beyond it" if outlook.ceiling else "nothing was accepted"
    if fpr is not None:
        need += f"; here {fpr}{'' if fpr.high <= outlook.allowed_fpr else ', which does not show it'}"
    return [said + told, need]


def _outlook_json(outlook: Outlook) -> Mapping[str, Json]:
    curves: list[Json] = []
    for cost, curve in outlook.curves.items():
        best, how = outlook.best(cost)
        curves.append({"fp_cost": cost, "best_attempts": best, "known_from": how, "utilities": list(curve.utilities)})
    return {
        "accuracy": outlook.accuracy,
        "ceiling": _json(outlook.ceiling),
        "precision": PRECISION,
        "allowed_fpr": outlook.allowed_fpr,
        "utility": curves,
    }


def _cells(rates: Rates) -> list[str]:
    a = rates.audit
    shares = (
        (a.accepted_wrong, a.wrong, rates.false_accepts),
        (a.rejected_right, a.right, rates.false_rejects),
        (a.abstained, a.right + a.wrong, rates.abstentions),
    )
    return [f"{a.right:,}", f"{a.wrong:,}", *(f"{n:,}/{of:,} {i}" if i else "-" for n, of, i in shares)]


def _rates_json(rates: Rates) -> dict[str, Json]:
    a = rates.audit
    return {
        "counts": {name: getattr(a, name) for name in Audit.__dataclass_fields__},
        "false_accepts": _json(rates.false_accepts),
        "false_rejects": _json(rates.false_rejects),
        "abstained": _json(rates.abstentions),
    }


def _span(span: tuple[int, int]) -> str:
    first, last = span
    return str(first) if first == last else f"{first}-{last}"


def _interval(interval: Interval | None) -> str:
    return "-" if interval is None else str(interval)


def _json(interval: Interval | None) -> Json:
    return None if interval is None else interval.to_json()
