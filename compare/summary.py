"""A comparison in numbers: accuracy, differences, costs and the verifier's part, for each arm.

The task is the unit: runs of one task are averaged first. An answer that the grader could not judge counts as not right
and is counted apart. Costs are means over runs; every budget's unit is there, whichever one the comparison holds equal.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import TypeAlias

from ..core.errors import ConfigError
from ..core.runs import Usage
from ..core.verdict import Outcome
from ..stats import (
    Audit,
    Interval,
    Paired,
    compare_paired,
    holm,
    majority_at_k,
    pass_at_k,
    quantile,
    rate_over_tasks,
)
from ..stats.intervals import mean_share
from ..stats.verifier_quality import Rate
from .plan import Plan
from .trial import Trial, Trials

Pool: TypeAlias = list[tuple[str | None, bool]]
"""Candidates of one task: the key of each one's answer, and whether it is right."""

_KS = (1, 2, 4, 8, 16, 32, 64, 128)


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What a run of an arm costs: means over runs, and the 95th percentile of generated tokens."""

    samples: float
    """Candidates made."""
    calls: float
    output_tokens: float
    """Generated tokens, those of verifiers' calls included."""
    output_tokens_p95: float
    tokens: float
    """Prompt and generated tokens together."""
    cached_share: float
    """Share of the prompt tokens that the engine's prefix cache held."""
    seconds: float
    """Active time of a run; runs side by side share the engine."""
    usd: float
    verdicts: float
    """Verdicts asked for."""
    verifier_calls: float
    """Model calls that verifiers made."""
    verifier_tokens: float
    """Prompt and generated tokens of those calls."""

    @staticmethod
    def of(trials: Sequence[Trial]) -> Cost:
        """The costs of some runs."""

        def mean(name: str) -> float:
            return fmean(getattr(t.usage, name) for t in trials)

        prompt = sum(t.usage.prompt_tokens for t in trials)
        return Cost(
            samples=fmean(len(t.candidates) for t in trials),
            calls=mean("calls"),
            output_tokens=mean("output_tokens"),
            output_tokens_p95=quantile([t.usage.output_tokens for t in trials], 0.95),
            tokens=mean("prompt_tokens") + mean("output_tokens"),
            cached_share=sum(t.usage.cached_tokens for t in trials) / (prompt or 1),
            seconds=mean("seconds"),
            usd=mean("usd"),
            verdicts=mean("verdicts"),
            verifier_calls=mean("verifier_calls"),
            verifier_tokens=mean("verifier_tokens"),
        )


@dataclass(frozen=True, kw_only=True)
class Verification:
    """What became of answers under an arm's verifier, and how far that verifier is right."""

    accepted_right: int
    """Runs whose answer the verifier passed and the grader too."""
    accepted_wrong: int
    """False accepts: the verifier passed, the grader did not."""
    rejected: int
    """Runs whose answer failed the verifier, as all others did."""
    unverified: int
    """Runs whose answer nobody judged, or the verifier abstained on."""
    no_answer: int
    failed: int
    """Runs that ended with an error."""
    abstentions: int
    """Verdicts that are abstentions, over all candidates."""
    audit: Audit
    """Over all candidates that were both verified and graded."""
    tpr: Interval | None
    """P(accept | right) over tasks; None if no candidate is right."""
    fpr: Interval | None
    """P(accept | wrong); None if no candidate is wrong."""
    precision: Interval | None
    """P(right | accept), the ceiling of resampling with this verifier; None if nothing was accepted."""

    @staticmethod
    def of(trials: Sequence[Trial]) -> Verification:
        """The verifier's part in some runs."""
        outcomes = [t.outcome for t in trials]
        by_task: dict[str, Audit] = defaultdict(Audit)
        for t in trials:
            known: list[tuple[Outcome, bool]] = [
                (c.said, c.right) for c in t.candidates if c.said is not None and c.right is not None
            ]
            by_task[t.task_id] += Audit.of(known)
        audits = list(by_task.values())
        accepted = [t for t in trials if t.outcome == "verified"]
        return Verification(
            accepted_right=sum(t.right is True for t in accepted),
            accepted_wrong=sum(t.right is False for t in accepted),
            rejected=outcomes.count("rejected"),
            unverified=outcomes.count("unverified"),
            no_answer=outcomes.count("no_answer"),
            failed=outcomes.count("failed"),
            abstentions=sum(t.usage.abstentions for t in trials),
            audit=sum(audits, Audit()),
            tpr=_rate(audits, "tpr"),
            fpr=_rate(audits, "fpr"),
            precision=_rate(audits, "precision"),
        )


@dataclass(frozen=True, kw_only=True)
class ArmSummary:
    """One arm in numbers."""

    name: str
    runs: int
    right: int
    """Runs whose answer is right."""
    ungraded: int
    """Runs whose answer the grader could not judge; counted as not right."""
    accuracy: Interval
    """Wilson's interval where each task is wholly right or wrong, as with one run a task; else the bootstrap over tasks."""
    against: Paired | None
    """Compared with the baseline on the same tasks; None for the baseline."""
    p_holm: float | None
    """`against.p`, adjusted for all comparisons of the table."""
    cost: Cost
    verification: Verification
    pass_at: Mapping[int, Interval]
    """By k, the unbiased estimate from the candidates; empty if tasks have different numbers of them, or some that are ungraded
    or were made from others."""
    majority_at: Mapping[int, Interval]
    """By k, how often the vote of k of the candidates is right; empty as `pass_at`, and if no answers were extracted."""
    by_group: Mapping[str, Interval]
    """Accuracy for each value of the tasks' `family` or `group`; empty if they have none."""
    beyond: int
    """Samples asked for beyond a stored pool."""
    total: Usage
    """Sums over all runs."""


def summarise(plan: Plan, trials: Trials) -> list[ArmSummary]:
    """All arms that have a run of every task, in the plan's order; each compared with the baseline if that has, too."""
    tasks = [t.id for t in plan.tasks]
    groups = {t.id: str(t.metadata.get("family") or t.metadata.get("group") or "") for t in plan.tasks}
    own = {arm.name: [t for t in trials[arm.name] if t.task_id in groups] for arm in plan.arms}
    whole = {name: found for name, found in own.items() if len({t.task_id for t in found}) == len(tasks)}
    scores = {name: _by_task(tasks, found) for name, found in whole.items()}
    base = scores.get(plan.reference.name)
    pairs = {
        name: compare_paired(ours, base)
        for name, ours in scores.items()
        if base is not None and name != plan.reference.name and len(tasks) > 1
    }
    adjusted = dict(zip(pairs, holm([p.p for p in pairs.values()]), strict=True))
    pools = {name: _pools(found) for name, found in whole.items()}
    return [
        ArmSummary(
            name=name,
            runs=len(found),
            right=sum(t.right is True for t in found),
            ungraded=sum(t.right is None for t in found),
            accuracy=mean_share(scores[name]),
            against=pairs.get(name),
            p_holm=adjusted.get(name),
            cost=Cost.of(found),
            verification=Verification.of(found),
            pass_at=_at_k(pools[name], lambda pool, k: pass_at_k(len(pool), sum(right for _, right in pool), k)),
            majority_at=_at_k(pools[name], majority_at_k) if _extracted(plan, pools[name]) else {},
            by_group=_by_group(tasks, groups, scores[name]),
            beyond=sum(t.beyond for t in found),
            total=_total(found),
        )
        for name, found in whole.items()
    ]


def _by_task(tasks: Sequence[str], found: Sequence[Trial]) -> list[float]:
    values: dict[str, list[float]] = defaultdict(list)
    for t in found:
        values[t.task_id].append(float(t.right is True))
    return [fmean(values[task]) for task in tasks]


def _pools(found: Sequence[Trial]) -> dict[str, Pool]:
    """The candidates of each task, if they are equally many independent samples of it and all are graded; else none."""
    pools: dict[str, Pool] = defaultdict(list)
    for t in found:
        pools[t.task_id] += [(c.answer, c.right is True) for c in t.candidates]
    # A replay draws the same samples again and again, which are no larger pool.
    samples = all(t.run_id and c.fresh and c.right is not None for t in found for c in t.candidates)
    return pools if samples and len({len(pool) for pool in pools.values()}) == 1 else {}


def _at_k(pools: Mapping[str, Pool], estimate: Callable[[Pool, int], float]) -> dict[int, Interval]:
    """An estimate for k of the candidates, over tasks."""
    size = min(map(len, pools.values()), default=0)
    return {k: mean_share([estimate(pool, k) for pool in pools.values()]) for k in _KS if k <= size}


def _extracted(plan: Plan, pools: Mapping[str, Pool]) -> bool:
    """Whether answers were looked for. A policy that counts none looks for them only where a task names an extractor."""
    named = {t.id: bool(t.extract) for t in plan.tasks}
    found = {named[task] for task, pool in pools.items() if any(answer is not None for answer, _ in pool)}
    return found == {named[task] for task in pools}


def _by_group(tasks: Sequence[str], groups: Mapping[str, str], scores: Sequence[float]) -> dict[str, Interval]:
    found: dict[str, list[float]] = defaultdict(list)
    for task, score in zip(tasks, scores, strict=True):
        found[groups[task]].append(score)
    return {name: mean_share(own) for name, own in found.items()} if len(found) > 1 else {}


def _rate(audits: Sequence[Audit], rate: Rate) -> Interval | None:
    try:
        return rate_over_tasks(audits, rate)
    except ConfigError:  # No candidate, or those of one task only, say anything about it.
        return None


def _total(found: Sequence[Trial]) -> Usage:
    return Usage(**{name: sum(getattr(t.usage, name) for t in found) for name in Usage.__dataclass_fields__})
