"""A comparison as tables and as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, cast

from ..core.ids import Json, as_json
from ..core.text import one_line
from ..stats import Interval
from .plan import Plan
from .summary import ArmSummary

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Rows = list[list[str]]


def accuracy_rows(arms: Sequence[ArmSummary]) -> Rows:
    """Header and rows: how often each arm is right, and how it differs from the baseline."""
    rows = [["ARM", "RIGHT", "ACCURACY", "DIFFERENCE", "P", "P (HOLM)"]]
    for a in arms:
        difference, p, adjusted = ("-", "-", "-")
        if a.against is not None and a.p_holm is not None:
            difference, p, adjusted = str(a.against.difference), f"{a.against.p:.2g}", f"{a.p_holm:.2g}"
        rows.append([a.name, f"{a.right:,}/{a.runs:,}", str(a.accuracy), difference, p, adjusted])
    return rows


def cost_rows(arms: Sequence[ArmSummary], covered: Mapping[str, float]) -> Rows:
    """Header and rows: what a run costs, in every unit that a budget may have."""
    rows = [["ARM", "SAMPLES", "GENERATED", "P95", "ALL TOKENS", "CACHED", "SECONDS", "WALL"]]
    for a in arms:
        c = a.cost
        seconds = f"{c.seconds:.2f}" if c.seconds else "-"
        wall = f"{covered[a.name]:.1f}" if covered.get(a.name) else "-"
        generated, p95, tokens = f"{c.output_tokens:,.1f}", f"{c.output_tokens_p95:,.0f}", f"{c.tokens:,.0f}"
        rows.append([a.name, f"{c.samples:.1f}", generated, p95, tokens, f"{c.cached_share:.0%}", seconds, wall])
    return rows


def verifier_rows(arms: Sequence[ArmSummary]) -> Rows:
    """Header and rows: what became of answers under the verifier, how far it is right, what it spent."""
    head = ["ARM", "ACCEPTED RIGHT", "FALSE ACCEPTS", "REJECTED", "UNVERIFIED", "NO ANSWER", "FAILED", "ABSTAINED"]
    rows = [[*head, "VERDICTS", "CALLS", "TOKENS"]]
    for a in arms:
        v, c = a.verification, a.cost
        counts = (v.accepted_right, v.accepted_wrong, v.rejected, v.unverified, v.no_answer, v.failed, v.abstentions)
        spent = (f"{c.verdicts:.1f}", f"{c.verifier_calls:.1f}", f"{c.verifier_tokens:,.0f}")
        rows.append([a.name, *(f"{n:,}" for n in counts), *spent])
    return rows


def quality_rows(arms: Sequence[ArmSummary]) -> Rows:
    """Header and rows: each arm's verifier against the grader, over all candidates. Empty if nothing was judged twice."""
    rows = [["ARM", "CANDIDATES", "P(ACCEPT | RIGHT)", "P(ACCEPT | WRONG)", "P(RIGHT | ACCEPT)"]]
    for a in arms:
        v = a.verification
        if v.audit.right + v.audit.wrong:
            rates = (_interval(rate) for rate in (v.tpr, v.fpr, v.precision))
            rows.append([a.name, f"{v.audit.right:,} right, {v.audit.wrong:,} wrong", *rates])
    return rows if len(rows) > 1 else []


def pass_rows(arms: Sequence[ArmSummary]) -> Rows:
    """Header and rows: pass@k and the vote of k, of the arms whose candidates were all graded. Empty if there is none."""
    ks = sorted({k for a in arms for k in a.pass_at})
    if not ks or ks == [1]:
        return []
    rows = [["ARM", *(f"{what}@{k}" for what in ("PASS", "VOTE") for k in ks)]]
    pooled = [a for a in arms if len(a.pass_at) > 1]
    rows += [[a.name, *(_interval(at.get(k)) for at in (a.pass_at, a.majority_at) for k in ks)] for a in pooled]
    return rows


def group_rows(arms: Sequence[ArmSummary]) -> Rows:
    """Header and rows: accuracy by group of tasks. Empty if the tasks have none."""
    groups = list(dict.fromkeys(g for a in arms for g in a.by_group))
    if not groups:
        return []
    return [["GROUP", *(a.name for a in arms)], *([g, *(_interval(a.by_group.get(g)) for a in arms)] for g in groups)]


def notes(plan: Plan, arms: Sequence[ArmSummary], models: Sequence[str]) -> list[str]:
    """What has to be known to read the tables."""
    seeds = "1 seed" if len(plan.seeds) == 1 else f"{len(plan.seeds)} seeds"
    how = "Wilson" if len(plan.seeds) == 1 else "bootstrap over tasks, Wilson where each is wholly right or wrong"
    budget = ", ".join(f"{k} {v}" for k, v in plan.budget.to_json().items()) or "none"
    lines = [
        f"{len(plan.tasks)} tasks, {seeds}, budget of a run: {budget}; {'; '.join(models)}",
        f"accuracy: 95 %, {how}; differences from {plan.reference.name}: 95 %, paired over tasks; costs: means over runs",
    ]
    if ungraded := sum(a.ungraded for a in arms):
        lines.append(f"{ungraded:,} answers could not be graded and count as not right")
    if missing := [a.name for a in plan.arms if a.name not in {s.name for s in arms}]:
        lines.append(f"not done: {', '.join(missing)}")
    lines += [f"{a.name}: {a.beyond:,} samples were asked for that the pool does not hold" for a in arms if a.beyond]
    return [one_line(line, 400) for line in lines]


def to_json(
    plan: Plan, arms: Sequence[ArmSummary], *, models: Sequence[str] = (), covered: Mapping[str, float] | None = None
) -> dict[str, Json]:
    """All of it, for programs."""
    listed: list[Json] = []
    for a in arms:
        row: dict[str, Json] = {"name": a.name, "runs": a.runs, "right": a.right, "ungraded": a.ungraded}
        row |= {"accuracy": _json(a.accuracy), "against_baseline": None, "cost": as_json(asdict(a.cost))}
        if a.against is not None:
            row["against_baseline"] = {**_plain(a.against), "p_holm": a.p_holm}
        row["verification"] = _plain(a.verification)
        row["pass_at"] = {str(k): _json(i) for k, i in a.pass_at.items()}
        row["majority_at"] = {str(k): _json(i) for k, i in a.majority_at.items()}
        row["by_group"] = {g: _json(i) for g, i in a.by_group.items()}
        row |= {"beyond_pool": a.beyond, "total": as_json(asdict(a.total)), "wall_seconds": (covered or {}).get(a.name)}
        listed.append(row)
    return {"plan": plan.to_json(), "models": list(models), "arms": listed}


def _plain(value: DataclassInstance) -> dict[str, Json]:
    return cast("dict[str, Json]", as_json(asdict(value)))


def _interval(interval: Interval | None) -> str:
    return "-" if interval is None else str(interval)


def _json(interval: Interval) -> Json:
    return {"value": interval.value, "low": interval.low, "high": interval.high}
