"""The effective context length of a RAG configuration: prompt tokens of all model calls until the answer, estimated.

With `k` documents and `m` shots, one call (DRAG) takes `I + (m + 1)(k d + q)` tokens: instruction, then for each shot and for
the question its documents, and question and answer. With more than one iteration (IterDRAG) there are up to 2n + 1 calls: a
sub-query and its answer for each of n iterations, then the final answer. A call after `j` sub-queries takes
`I + m (k (1 + s) d + q + s u) + k (1 + j) d + q + j u`: each sub-query brings k documents more, here and in each shot.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

from ..core.errors import ConfigError
from .extras import library


@dataclass(frozen=True)
class Configuration:
    """How much is put into answering one question."""

    documents: int
    """Documents retrieved for each query."""
    shots: int
    """Worked examples, each with documents of its own."""
    iterations: int = 1
    """Most rounds of sub-query and answer; 1 is a single call."""

    def __post_init__(self) -> None:
        for name, least in (("documents", 0), ("shots", 0), ("iterations", 1)):
            value: object = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise ConfigError(f"{name} is {value!r}", hint=f"a whole number, {least} or more")

    @property
    def values(self) -> tuple[int, int, int]:
        """Documents, shots, iterations."""
        return self.documents, self.shots, self.iterations


@dataclass(frozen=True, kw_only=True)
class Lengths:
    """Mean lengths in tokens that an estimate rests on."""

    document: float
    """One document (d)."""
    question: float
    """A question and its answer (q)."""
    instruction: float = 0.0
    """What every prompt begins with (I)."""
    subquery: float = 0.0
    """A sub-query and its answer (u)."""
    shot_subqueries: float = 0.0
    """Sub-queries of one shot (s), where there is more than one iteration."""

    def __post_init__(self) -> None:
        for f in fields(self):
            value = getattr(self, f.name)
            if not (isinstance(value, int | float) and math.isfinite(value) and value >= 0):
                raise ConfigError(f"the length {f.name} is {value!r}", hint="tokens, 0 or more")

    def estimate(self, configuration: Configuration) -> float:
        """The effective context length of one question at worst: as many iterations as are allowed."""
        k, m, n = configuration.values
        if n == 1:
            return self.instruction + (m + 1) * (k * self.document + self.question)
        shot = k * (1 + self.shot_subqueries) * self.document + self.question + self.shot_subqueries * self.subquery
        # Before each sub-query, after its documents came, and for the final answer.
        asked = [*range(n), *range(1, n + 1), n]
        own = sum(k * (1 + j) * self.document + self.question + j * self.subquery for j in asked)
        return len(asked) * (self.instruction + m * shot) + own


def fit_lengths(measured: Sequence[tuple[Configuration, float]], **more: float) -> Lengths | None:
    """Lengths under which the estimates come closest to measured prompt tokens of single calls, by least squares of the
    relative error; None where the measurements do not tell the three apart, or only by a negative length.

    `more` are the lengths of which single calls say nothing: `subquery`, `shot_subqueries`.
    """
    single = [(c, tokens) for c, tokens in measured if c.iterations == 1 and tokens > 0]
    if len({c for c, _ in single}) < 3:
        return None
    np = library("numpy")
    rows: Any = np.array([[1, c.shots + 1, (c.shots + 1) * c.documents] for c, _ in single], dtype=float)
    tokens: Any = np.array([tokens for _, tokens in single], dtype=float)
    weighted = rows / tokens[:, None]
    sizes = np.linalg.norm(weighted, axis=0)
    if not sizes.all():
        return None
    found, _, rank, _ = np.linalg.lstsq(weighted / sizes, np.ones(len(single)), rcond=1e-6)
    if rank < 3:
        return None
    instruction, question, document = (float(v) for v in found / sizes)
    if document <= 0 or question < 0:
        return None
    # Chat templates vary: an instruction of a few tokens less than none is none.
    return Lengths(document=document, question=question, instruction=max(0.0, instruction), **more)
