"""Fits the computation allocation model on measured configurations, in two stages: least squares, then a sigmoid.

Scores are normalised over the configurations of each data set and metric. Without a sigmoid that is known, a, b and c are
fitted to the normalised scores by ordinary least squares, and the sigmoid from what they predict to what is true. With a known
one they are fitted to its inverse of the scores, which are clipped to where it has one.

What a fit can tell depends on what was measured: with one iteration throughout, that of iterations is no other column than the
intercept, and with one data set `i` is constant, so that b is not to be told from a. Such columns are found by rank.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean, pstdev
from typing import Any, Literal, TypeAlias

from ..core.errors import ConfigError
from .allocation import COLUMNS, Allocation, Informativeness, Sigmoid, logs
from .effective_length import Configuration, fit_lengths
from .extras import library

Curve: TypeAlias = "Sigmoid | Literal['fit'] | None"
"""A known sigmoid, one to be fitted, or none."""

_TOLERANCE = 1e-6
"""A column is collinear whose part that the others do not explain is this small a share of it."""
_LEAST_FOR_SIGMOID = 8
_MISSING = {
    "documents": "the number of documents never varies by itself: measure configurations that differ in documents only",
    "shots": "the number of shots never varies by itself: measure configurations that differ in shots only",
    "iterations": "the number of iterations never varies by itself: measure some configurations with more than 1",
    "documents x i": "no two data sets differ in how much a document helps: measure a second data set",
    "shots x i": "no two data sets differ in how much a shot helps: measure a second data set",
}
_BASES = {"none": Configuration(0, 0), "one document": Configuration(1, 0), "one shot": Configuration(0, 1)}


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """The mean score of one configuration on one data set."""

    dataset: str
    configuration: Configuration
    score: float
    """In [0, 1]."""
    tokens: float | None = None
    """Effective context length that was measured: the most of any question, to keep to a limit; None if unknown."""
    metric: str = ""
    """What the score is, where there are several."""

    def __post_init__(self) -> None:
        if not 0 <= self.score <= 1:
            raise ConfigError(f"a score is {self.score}", hint="in [0, 1]: 45 % is 0.45")
        if self.tokens is not None and not 0 < self.tokens < float("inf"):
            raise ConfigError(f"the tokens are {self.tokens}", hint="above 0; leave them out where they are unknown")

    @property
    def group(self) -> str:
        """What scores are normalised over."""
        return f"{self.dataset}/{self.metric}" if self.metric else self.dataset


@dataclass(frozen=True, kw_only=True)
class Point:
    """One normalised measurement."""

    configuration: Configuration
    i: Informativeness
    value: float


def fit(
    measurements: Sequence[Measurement],
    *,
    sigmoid: Curve = "fit",
    informativeness: Mapping[str, Informativeness] | None = None,
    partial: bool = False,
) -> Allocation:
    """The model of what was measured, with `i` of each data set and, where tokens were measured, lengths.

    Args:
        measurements: one for each configuration and data set (and metric).
        sigmoid: a known one, `fit` for one fitted to the data, None for none.
        informativeness: `i` of data sets for which it is known from elsewhere, by data set, or `data set/metric`.
        partial: leave out the columns that the measurements cannot tell, instead of refusing.

    Raises:
        ConfigError: what is missing: `i` cannot be computed, a data set has configurations that do not differ, columns are
            collinear, there are too few measurements.
    """
    known = dict(informativeness or {})
    groups: dict[str, list[Measurement]] = {}
    for each in measurements:
        groups.setdefault(each.group, []).append(each)
    points: list[Point] = []
    for name, rows in groups.items():
        known[name] = known[name] if name in known else informativeness_of(rows)
        points += [Point(configuration=m.configuration, i=known[name], value=z) for m, z in zip(rows, _normal(rows), strict=True)]
    model = fit_points(points, sigmoid=sigmoid, partial=partial)
    tokens = {(m.dataset, m.configuration): m.tokens for m in measurements if m.tokens is not None}
    lengths = fit_lengths([(configuration, n) for (_, configuration), n in tokens.items()])
    return replace(model, informativeness={name: known[name] for name in groups}, lengths=lengths)


def informativeness_of(measurements: Sequence[Measurement]) -> Informativeness:
    """How much the first document and the first shot help, from the measurements of one data set.

    Raises:
        ConfigError: one of the three configurations that it takes is missing.
    """
    scores = {m.configuration: m.score for m in measurements}
    if missing := [c for c in _BASES.values() if c not in scores]:
        told = ", ".join(str(c.values) for c in missing)
        name = measurements[0].group if measurements else "the data set"
        raise ConfigError(
            f"{name} was not measured at (documents, shots, iterations) = {told}",
            hint="how much a document and a shot help takes (0, 0, 1), (1, 0, 1) and (0, 1, 1)",
        )
    none, document, shot = (scores[c] for c in _BASES.values())
    return Informativeness(documents=document - none, shots=shot - none)


def fit_points(points: Sequence[Point], *, sigmoid: Curve = "fit", partial: bool = False) -> Allocation:
    """The model of normalised measurements.

    Raises:
        ConfigError: as `fit`.
    """
    np = library("numpy")
    if len(points) <= len(COLUMNS):
        raise ConfigError(f"{len(points)} measurements are too few", hint=f"the model has {len(COLUMNS)} coefficients")
    rows: Any = np.array([_row(point) for point in points], dtype=float)
    truth: Any = np.array([point.value for point in points], dtype=float)
    kept = _independent(np, rows)
    dropped = [name for at, name in enumerate(COLUMNS) if at not in kept]
    if dropped and (not partial or len(kept) < 2):
        missing = list(dict.fromkeys(_MISSING[name] for name in dropped))
        raise ConfigError(
            f"the measurements do not tell all coefficients: {'; '.join(missing)}",
            hint="or leave those coefficients out: --partial",
        )
    target = truth if not isinstance(sigmoid, Sigmoid) else np.array([sigmoid.inverse(y) for y in truth])
    found, *_ = np.linalg.lstsq(rows[:, kept], target, rcond=None)
    full = dict.fromkeys(COLUMNS, 0.0) | {COLUMNS[at]: float(v) for at, v in zip(kept, found, strict=True)}
    predicted = rows[:, kept] @ found
    unsure = np.sum((predicted - target) ** 2) / (len(points) - len(kept))
    errors = np.sqrt(unsure * np.diag(np.linalg.pinv(rows[:, kept].T @ rows[:, kept])))
    curve = _fitted(np, predicted, truth) if sigmoid == "fit" else sigmoid
    assert curve is None or isinstance(curve, Sigmoid)
    values = np.array([curve(x) for x in predicted]) if curve else predicted
    mse, spread = float(np.mean((values - truth) ** 2)), float(np.var(truth))
    each = list(zip(*(point.configuration.values for point in points), strict=True))
    return Allocation(
        a=(full["documents"], full["shots"], full["iterations"]),
        b=(full["documents x i"], full["shots x i"], 0.0),
        c=full["intercept"],
        sigmoid=curve,
        dropped=tuple(dropped),
        measured=len(points),
        r2=1 - mse / spread if spread > 0 else None,
        mse=mse,
        errors={COLUMNS[at]: float(v) for at, v in zip(kept, errors, strict=True)},
        least=Configuration(*map(min, each)),
        most=Configuration(*map(max, each)),
    )


def _row(point: Point) -> list[float]:
    documents, shots, iterations = logs(point.configuration)
    return [1.0, documents, shots, iterations, documents * point.i.documents, shots * point.i.shots]


def _independent(np: Any, rows: Any) -> list[int]:
    """Numbers of the columns that those before them do not determine. Where a number never varies by itself its product with i
    goes too: that would be told by nothing but the difference of the data sets.
    """
    kept: list[int] = []
    basis: list[Any] = []
    for at in range(rows.shape[1]):
        column = rows[:, at]
        rest = column
        for vector in (*basis, *basis):  # Twice, for what rounding left.
            rest = rest - (vector @ rest) * vector
        size = np.linalg.norm(rest)
        if size > _TOLERANCE * np.linalg.norm(column):
            kept.append(at)
            basis.append(rest / size)
    return [at for at in kept if (main := COLUMNS[at].removesuffix(" x i")) == COLUMNS[at] or COLUMNS.index(main) in kept]


def _fitted(np: Any, predicted: Any, truth: Any) -> Sigmoid:
    """The rising sigmoid that comes closest to the truth, from what was predicted."""
    if len(truth) < _LEAST_FOR_SIGMOID:
        raise ConfigError(
            f"{len(truth)} measurements are too few for a sigmoid",
            hint=f"measure {_LEAST_FOR_SIGMOID}, or leave it out: --sigmoid none",
        )
    low, high = float(np.min(truth)), float(np.max(truth))
    reach = max(high - low, 1e-6)
    start = [1.2 * reach, 4 / reach, float(np.mean(predicted)), low - 0.1 * reach]
    lower, upper = [1e-3, 1e-2, -20.0, -20.0], [50.0, 50.0, 20.0, 20.0]
    start = [min(max(value, least), most) for value, least, most in zip(start, lower, upper, strict=True)]

    def error(parameters: Any) -> Any:
        scale, slope, middle, bottom = parameters
        return scale / (1 + np.exp(-np.clip(slope * (predicted - middle), -500, 500))) + bottom - truth

    found = library("scipy.optimize").least_squares(error, start, bounds=(lower, upper))
    return Sigmoid(*(float(v) for v in found.x))


def _normal(rows: Sequence[Measurement]) -> list[float]:
    """Scores less their mean, in standard deviations; over the configurations of a data set."""
    twice = len({m.configuration for m in rows}) < len(rows)
    if twice:
        raise ConfigError(f"{rows[0].group} has two measurements of one configuration", hint="give their mean")
    scores = [m.score for m in rows]
    spread = pstdev(scores)
    if spread == 0:
        raise ConfigError(
            f"all configurations score the same on {rows[0].group}", hint="measure more that differ, or leave it out"
        )
    mean = fmean(scores)
    return [(score - mean) / spread for score in scores]
