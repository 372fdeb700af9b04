"""REBASE (Wu et al. 2024, section 3.1.2): a level's width is shared out among its nodes by a softmax of their scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from .apportion import apportion, balanced
from .steps import StepByStep
from .tree import Tree


@dataclass(frozen=True)
class Rebase(StepByStep):
    """Looks for `n` solutions at once, with more of them behind the more promising steps.

    The first level has `n` steps, each later one as many as solutions are still wanted: the width falls by those that are
    whole and by those that are out of tokens. A failed step gives its place to the others. What is unfinished at the
    deepest level is dropped and counted in the details.
    """

    n: int = 16
    """Solutions wanted, and the width of the first level."""
    balance: float = 0.1
    """Temperature of the softmax over scores in [0, 1]: the lower, the more the best get. Published: 0.1 (paper), 0.2 (code)."""
    depth: int = 25
    """Most steps of one solution."""
    name: str = field(default="rebase", init=False)

    def __post_init__(self) -> None:
        self._check(n=self.n, depth=self.depth)
        balanced((), self.balance)  # refuses a balance that is none

    @property
    def most_steps(self) -> int:
        """Most steps of one solution."""
        return self.depth

    def wanted(self, tree: Tree) -> Sequence[int | None]:
        """The children of the last level, once all of it is told."""
        if not tree.nodes:
            return [None] * self.n
        going = [i for i in tree.level if self.goes_on(tree.nodes[i])]
        width = self.n - sum(node.done or self.spent(node) for node in tree.nodes)
        shares = apportion(balanced([self.merit(tree, i) for i in going], self.balance), width)
        return [i for i, share in zip(going, shares, strict=True) for _ in range(share)]
