"""Tree of thoughts: every node has the same number of children, and a strategy says which node is continued next."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias, get_args

from ..core.errors import ConfigError
from .steps import StepByStep
from .tree import Tree

Strategy: TypeAlias = Literal["greedy", "bfs", "dfs", "best_first"]
"""`greedy` goes on from the best child of each level (PlanGEN, section 2.2). `bfs` keeps several nodes of each level, and
`dfs` goes down to the most promising child and comes back where it ends (Yao et al. 2023, section 3). `best_first`
continues the most promising node of the whole tree."""

_BFS_KEEPS = 5


@dataclass(frozen=True)
class TreeOfThought(StepByStep):
    """Grows one tree of steps and returns the best whole solution in it.

    The children of a node are made side by side; the strategy goes on once all of them are told, since any of them may be
    the best. With `greedy` and `bfs` a whole solution takes its place among those kept, and the search ends when none of
    the kept can be continued. With `dfs` and `best_first` it goes on elsewhere until nothing is left.
    """

    strategy: Strategy = "greedy"
    children: int = 3
    """Steps that each continued node gets."""
    depth: int = 20
    """Most steps of one solution."""
    nodes: int = 60
    """Most steps in all."""
    keep: int | None = None
    """Most nodes continued: of a level for `bfs` (None for 5), of siblings for `dfs` and `best_first` (None for all)."""
    threshold: float = 0.0
    """A node that is worth less is not continued."""
    name: str = field(default="tree_of_thought", init=False)

    def __post_init__(self) -> None:
        self._check(children=self.children, depth=self.depth, nodes=self.nodes, keep=self.keep)
        if self.strategy not in get_args(Strategy):
            raise ConfigError(f"there is no strategy {self.strategy!r}", hint=f"one of {', '.join(get_args(Strategy))}")
        if self.strategy == "greedy" and self.keep not in (None, 1):
            raise ConfigError(f"greedy keeps 1 node, not {self.keep}", hint="bfs keeps several")
        if not 0 <= self.threshold <= 1:
            raise ConfigError(f"threshold is {self.threshold}", hint="a number from 0 to 1")

    @property
    def most_steps(self) -> int:
        """Most steps of one solution."""
        return self.depth

    def wanted(self, tree: Tree) -> Sequence[int | None]:
        """The children of the next nodes, as far as the number of nodes allows."""
        parents = self._next(tree) if tree.nodes else [None]
        return [p for p in parents for _ in range(self.children)][: self.nodes - len(tree.nodes)]

    def _next(self, tree: Tree) -> Sequence[int]:
        match self.strategy:
            case "greedy":
                return self._kept(tree, tree.level, 1)
            case "bfs":
                return self._kept(tree, tree.level, self.keep or _BFS_KEEPS)
            case "dfs":
                # Families come in the order of asking, so the latest with a child left to visit is the deepest one open.
                latest = next(self._unvisited(tree), None)
                return latest[:1] if latest else []
            case "best_first":
                return self.best_first(tree, [i for family in self._unvisited(tree) for i in family])[:1]

    def _kept(self, tree: Tree, siblings: Sequence[int], most: int) -> list[int]:
        """Those of the best `most` that can be continued. A whole solution counts among the best."""
        alive = [i for i in siblings if not tree.nodes[i].dead]
        best = self.best_first(tree, alive)[:most]
        return [i for i in best if self.goes_on(tree.nodes[i]) and self.merit(tree, i) >= self.threshold]

    def _unvisited(self, tree: Tree) -> Iterator[list[int]]:
        """Of each family those still to be continued, best first; the latest family first, those without any left out."""
        visited = tree.continued
        for family in reversed(_families(tree)):
            if all(i in visited or not self.goes_on(tree.nodes[i]) for i in family):
                continue
            if left := [i for i in self._kept(tree, family, self.keep or self.children) if i not in visited]:
                yield left


def _families(tree: Tree) -> list[list[int]]:
    """Numbers of siblings, family by family in the order of asking."""
    families: dict[int | None, list[int]] = {}
    for number, node in enumerate(tree.nodes):
        families.setdefault(node.parent, []).append(number)
    return list(families.values())
