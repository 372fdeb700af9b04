"""Beam search under a process verifier, in one tree or in several that never mix (diverse verifier tree search)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias, get_args

from ..core.errors import ConfigError
from .apportion import apportion
from .steps import StepByStep
from .tree import Tree

Aggregate: TypeAlias = Literal["last", "min", "prod"]
"""What the scores of a path's steps come to: the last one, the least, or their product."""


@dataclass(frozen=True)
class Beam(StepByStep):
    """Of each level the best `keep` are continued, so that the next one is full again.

    As with `Rebase`, each whole solution takes its place with it: a tree ends when it has as many as its width. With several
    `trees` the width is divided between them; where each of them keeps one step, that is DVTS.
    """

    total_width: int = 16
    """Steps of one level, over all trees."""
    keep: int | None = None
    """Nodes of a level that are continued, in each tree; None for a quarter of the tree's width."""
    aggregate: Aggregate = "last"
    """By which of a path's scores its end is ranked."""
    trees: int = 1
    """Independent trees; `total_width` is a multiple of it."""
    depth: int = 25
    """Most steps of one solution."""
    name: str = field(default="beam", init=False)

    def __post_init__(self) -> None:
        self._check(total_width=self.total_width, keep=self.keep, trees=self.trees, depth=self.depth)
        if self.aggregate not in get_args(Aggregate):
            raise ConfigError(f"there is no aggregate {self.aggregate!r}", hint=f"one of {', '.join(get_args(Aggregate))}")
        if self.total_width % self.trees:
            raise ConfigError(
                f"total_width={self.total_width} is not divisible by trees={self.trees}", hint="all trees are equally wide"
            )
        if self.keep is not None and self.keep > self._width:
            raise ConfigError(
                f"keep={self.keep} is more than the {self._width} steps of a tree's level", hint="keep fewer, or widen the beam"
            )

    @property
    def most_steps(self) -> int:
        """Most steps of one solution."""
        return self.depth

    @property
    def grown(self) -> int:
        """Number of trees."""
        return self.trees

    @property
    def _width(self) -> int:
        return self.total_width // self.trees

    def merit(self, tree: Tree, number: int) -> float:
        """The path's scores, aggregated."""
        if self.aggregate == "last":
            return super().merit(tree, number)
        values = [node.value(self.unknown) for node in tree.path(number)]
        return min(values) if self.aggregate == "min" else math.prod(values)

    def wanted(self, tree: Tree) -> Sequence[int | None]:
        """The children of the last level's best, the first of them one more where the width does not divide."""
        if not tree.nodes:
            return [None] * self._width
        keep = self.keep or max(1, self._width // 4)
        going = self.best_first(tree, [i for i in tree.level if self.goes_on(tree.nodes[i])])[:keep]
        width = self._width - sum(node.done or self.spent(node) for node in tree.nodes)
        shares = apportion([1.0] * len(going), width)
        return [i for i, share in zip(going, shares, strict=True) for _ in range(share)]
