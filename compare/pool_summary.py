"""A pool in numbers: what is in it, and what its samples say of every smaller k, without any new generation."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from ..core.errors import ConfigError
from ..core.ids import Json
from ..stats import Auroc, Interval, majority_at_k, pass_at_k, within_auroc
from ..stats.intervals import mean_share
from .pool import Drawn, Pool, Sample


@dataclass(frozen=True, kw_only=True)
class PoolSummary:
    """A pool in numbers."""

    tasks: int
    samples: int
    lost: int
    """Samples that are missing because their calls failed."""
    prompt_tokens: int
    """Of all calls; a prompt counts once for each of its samples."""
    output_tokens: int
    truncated: float
    """Share of the samples that were cut at their token limit."""
    mean_logprob: float | None
    """Mean over samples of a token's mean log-probability; None if not all samples have them."""
    ungraded: int
    """Samples that the grader could not judge, or was not asked about."""
    pass_at: Mapping[int, Interval]
    """By k; samples that the grader could not judge count as not right. Empty if it was not asked about all of them."""
    majority_at: Mapping[int, Interval]
    """By k, how often the vote of k samples is right; empty as `pass_at`."""
    logprob_auroc: Auroc | None
    """How well a sample's mean log-probability tells right from wrong within a task; None if that cannot be told."""

    @staticmethod
    def of(pool: Pool) -> PoolSummary:
        """Count a pool."""
        samples = [s for d in pool.drawn for s in d.samples]
        scores = [_mean_logprob(s) for s in samples]
        known = [s for s in scores if s is not None]
        graded = all(s.grade is not None for s in samples)
        return PoolSummary(
            tasks=len(pool.drawn),
            samples=len(samples),
            lost=pool.k * len(pool.drawn) - len(samples),
            prompt_tokens=sum(s.completion.tokens.prompt for s in samples),
            output_tokens=sum(s.completion.tokens.completion for s in samples),
            truncated=fmean(s.completion.finish_reason == "length" for s in samples) if samples else 0.0,
            mean_logprob=fmean(known) if samples and len(known) == len(scores) else None,
            ungraded=sum(s.right is None for s in samples),
            pass_at=_at_k(pool, lambda votes, k: pass_at_k(len(votes), sum(r for _, r in votes), k)) if graded else {},
            majority_at=_at_k(pool, majority_at_k) if graded else {},
            logprob_auroc=_auroc(pool.drawn),
        )

    def to_json(self) -> dict[str, Json]:
        """Plain form."""
        auroc = self.logprob_auroc
        return {
            "tasks": self.tasks,
            "samples": self.samples,
            "lost": self.lost,
            "prompt_tokens": self.prompt_tokens,
            "output_tokens": self.output_tokens,
            "truncated": self.truncated,
            "mean_logprob": self.mean_logprob,
            "ungraded": self.ungraded,
            "pass_at": {str(k): i.to_json() for k, i in self.pass_at.items()},
            "majority_at": {str(k): i.to_json() for k, i in self.majority_at.items()},
            "logprob_auroc": {**auroc.interval.to_json(), "questions": auroc.questions} if auroc else None,
        }


def _at_k(pool: Pool, estimate: Callable[[Sequence[tuple[str | None, bool]], int], float]) -> dict[int, Interval]:
    """An estimate over tasks for k = 1, 2, 4, ... and the largest k that every task has samples for."""
    votes = [[(s.answer, s.right is True) for s in d.samples] for d in pool.drawn]
    most = min(map(len, votes))
    ks = sorted({2**i for i in range(most.bit_length())} | {most}) if most else []
    return {k: mean_share([estimate(v, k) for v in votes]) for k in ks}


def _mean_logprob(sample: Sample) -> float | None:
    logprobs = sample.completion.logprobs
    return None if logprobs is None else math.fsum(logprobs) / len(logprobs) if logprobs else 0.0


def _auroc(drawn: Sequence[Drawn]) -> Auroc | None:
    questions = [
        [(score, s.right) for s in d.samples if s.right is not None and (score := _mean_logprob(s)) is not None] for d in drawn
    ]
    try:
        return within_auroc(questions)
    except ConfigError:  # Fewer than two tasks have both right and wrong samples.
        return None
