"""The computation allocation model of inference scaling for long-context RAG: what documents, shots and iterations are worth.

The quality of a configuration, normalised over the configurations measured on a data set, is a sigmoid of

    x = (a + b * i) . log(configuration + 0.01) + c

with `i` how much one document, and one shot, help on that data set (Yue et al. 2024, arXiv 2410.04343, section 5). The sigmoid
rises, so the best configuration is that with the greatest x, and a new data set needs only its `i`: three cheap measurements.
`i` is a difference of scores in [0, 1], not of normalised ones, because a new data set has no configurations to normalise over.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import product
from typing import Any

from ..core.errors import ConfigError
from ..core.ids import Json
from .effective_length import Configuration, Lengths

DOCUMENTS = (0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
SHOTS = (0, 1, 2, 4, 8, 16, 32, 64, 128, 256)
ITERATIONS = (1, 2, 3, 4, 5)
"""The configurations that the paper searches, by dimension."""
EPSILON = 0.01
"""Added before the logarithm, so that 0 is allowed."""
COLUMNS = ("intercept", "documents", "shots", "iterations", "documents x i", "shots x i")


@dataclass(frozen=True, kw_only=True)
class Informativeness:
    """How much the first document and the first shot help on a data set, by a method."""

    documents: float
    """Score with one document, less the score with none; no shots, one iteration."""
    shots: float
    """Score with one shot, less the score with none; no documents, one iteration."""

    def __post_init__(self) -> None:
        for value in (self.documents, self.shots):
            if not -1 <= value <= 1:
                raise ConfigError(f"a difference of scores is {value}", hint="in [-1, 1], since scores are in [0, 1]")


@dataclass(frozen=True)
class Sigmoid:
    """`scale / (1 + exp(-slope (x - middle))) + low`: quality saturates."""

    scale: float
    slope: float
    middle: float
    low: float

    def __call__(self, x: float) -> float:
        # Written so that neither end overflows.
        tail = math.exp(-abs(self.slope * (x - self.middle)))
        share = 1 / (1 + tail) if x >= self.middle else tail / (1 + tail)
        return self.scale * share + self.low

    def inverse(self, y: float, margin: float = 1e-3) -> float:
        """Where the sigmoid is `y`, which is first brought `margin` of the scale within its two ends."""
        share = min(max((y - self.low) / self.scale, margin), 1 - margin)
        return self.middle - math.log(1 / share - 1) / self.slope


REPORTED = Sigmoid(3.30, 1.81, -0.46, -2.18)
"""The sigmoid that the paper reports for Gemini 1.5 Flash."""


@dataclass(frozen=True, kw_only=True)
class Planned:
    """One configuration, and what is expected of it."""

    configuration: Configuration
    x: float
    """What configurations are ranked by."""
    value: float
    """Normalised quality: the sigmoid of x, or x where the model has none."""
    tokens: float
    """Estimated effective context length: prompt tokens of all calls until the answer."""

    def to_json(self) -> dict[str, Json]:
        """Plain form."""
        return {**asdict(self.configuration), "x": self.x, "value": self.value, "tokens": round(self.tokens)}


@dataclass(frozen=True, kw_only=True)
class Allocation:
    """A fitted model. Coefficients that the measurements could not tell are 0 and listed in `dropped`."""

    a: tuple[float, float, float]
    """Return for each unit of the logarithm of documents, shots, iterations."""
    b: tuple[float, float, float]
    """How that return changes with `i`; the third is 0."""
    c: float
    sigmoid: Sigmoid | None = None
    """None where quality is taken to be x itself."""
    dropped: tuple[str, ...] = ()
    """Columns, as in `COLUMNS`, left out because others determine them in what was measured."""
    measured: int = 0
    """Measurements that it was fitted on."""
    r2: float | None = None
    """Share of the variance explained, of the measurements that it was fitted on."""
    mse: float | None = None
    """Mean squared error on them, in normalised units."""
    errors: Mapping[str, float] = field(default_factory=dict[str, float])
    """Standard errors of the coefficients, by column, as far as straight lines tell them."""
    least: Configuration | None = None
    """The fewest documents, shots and iterations that were measured; None if unknown."""
    most: Configuration | None = None
    """The most of each; None if unknown."""
    informativeness: Mapping[str, Informativeness] = field(default_factory=dict[str, Informativeness])
    """By data set; with several metrics by `data set/metric`."""
    lengths: Lengths | None = None
    """Fitted on the measured prompt tokens; None if there were too few."""

    @property
    def uncertain(self) -> list[str]:
        """Columns whose coefficients are within two standard errors of 0: they might as well be 0, or of the other sign."""
        values = dict(zip(COLUMNS[1:], (*self.a, *self.b[:2]), strict=True))
        return [name for name, value in values.items() if abs(value) < 2 * self.errors.get(name, 0.0)]

    def x(self, configuration: Configuration, i: Informativeness) -> float:
        """The right-hand side of the model."""
        terms = zip(self.a, self.b, (i.documents, i.shots, 0.0), logs(configuration), strict=True)
        return math.fsum((a + b * of) * log for a, b, of, log in terms) + self.c

    def value(self, configuration: Configuration, i: Informativeness) -> float:
        """The predicted quality, normalised: 0 is the mean of what was measured on a data set, 1 a standard deviation above."""
        x = self.x(configuration, i)
        return x if self.sigmoid is None else self.sigmoid(x)

    def plan(
        self, i: Informativeness, budget: float, lengths: Lengths, *, grid: Iterable[Configuration] | None = None
    ) -> list[Planned]:
        """The configurations whose estimated effective length is within the budget, the best first, of equals the shorter.

        Args:
            i: how much a document and a shot help on the data set.
            budget: most prompt tokens of all calls until the answer.
            lengths: of documents, questions and the rest.
            grid: configurations to choose from; those of `grid()` if left out.

        Raises:
            ConfigError: no configuration fits.
        """
        wanted = list(self.grid() if grid is None else grid)
        estimates = [(each, lengths.estimate(each)) for each in wanted]
        fitting = [
            Planned(configuration=each, x=self.x(each, i), value=self.value(each, i), tokens=tokens)
            for each, tokens in estimates
            if tokens <= budget
        ]
        if not fitting:
            least = min((tokens for _, tokens in estimates), default=math.inf)
            raise ConfigError(
                f"no configuration fits into {budget:,.0f} tokens",
                hint=f"the shortest takes about {least:,.0f}" if estimates else "the grid is empty",
            )
        # What differs by rounding only is equal: a dropped column makes whole rows of the grid so.
        return sorted(fitting, key=lambda p: (-round(p.x, 9), p.tokens))

    def grid(self, *, extrapolate: bool = False) -> list[Configuration]:
        """The paper's configurations; unless one is to `extrapolate`, none with more or less of anything than was measured."""
        if extrapolate or self.least is None or self.most is None:
            return [Configuration(*values) for values in product(DOCUMENTS, SHOTS, ITERATIONS)]
        ends = zip((DOCUMENTS, SHOTS, ITERATIONS), self.least.values, self.most.values, strict=True)
        dims = (sorted({least, most, *(v for v in values if least < v < most)}) for values, least, most in ends)
        return [Configuration(*values) for values in product(*dims)]

    def to_json(self) -> dict[str, Json]:
        """Plain form, for a file."""
        return {"model": "rag_allocation", "schema": 1, **asdict(self)}

    @staticmethod
    def from_json(value: Mapping[str, Any]) -> Allocation:
        """Read the plain form.

        Raises:
            ConfigError: it is something else.
        """
        if value.get("model") != "rag_allocation" or value.get("schema") != 1:
            raise ConfigError("this is no allocation model", hint="made by: burnish rag fit")
        try:
            return Allocation(
                a=_three(value["a"]),
                b=_three(value["b"]),
                c=float(value["c"]),
                sigmoid=Sigmoid(**value["sigmoid"]) if value["sigmoid"] else None,
                dropped=tuple(map(str, value["dropped"])),
                measured=int(value["measured"]),
                r2=value["r2"],
                mse=value["mse"],
                errors={str(k): float(v) for k, v in value["errors"].items()},
                least=Configuration(**value["least"]) if value["least"] else None,
                most=Configuration(**value["most"]) if value["most"] else None,
                informativeness={str(k): Informativeness(**i) for k, i in value["informativeness"].items()},
                lengths=Lengths(**value["lengths"]) if value["lengths"] else None,
            )
        except (AttributeError, KeyError, TypeError, ValueError) as e:
            raise ConfigError(
                f"the allocation model is damaged: {type(e).__name__}: {e}", hint="make it again: burnish rag fit"
            ) from None


def logs(configuration: Configuration) -> tuple[float, float, float]:
    """The logarithms that the model is linear in."""
    documents, shots, iterations = (math.log(value + EPSILON) for value in configuration.values)
    return documents, shots, iterations


def _three(values: Sequence[float]) -> tuple[float, float, float]:
    first, second, third = map(float, values)
    return first, second, third
