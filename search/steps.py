"""What all policies share that make solutions step by step.

A policy says with one pure function, `wanted`, which nodes of a tree to continue. Asking, telling, ending and choosing
are the same for all of them and are here. Trees of one search are independent: none waits for another.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from ..core.errors import ConfigError
from ..core.policy import Expansion, Moves, Scored, Selection, TaskView
from .choose import Option, outline, select
from .tree import Node, Tree

Forest: TypeAlias = tuple[Tree, ...]
"""The state of a step-by-step policy."""


@dataclass(frozen=True, kw_only=True)
class StepByStep(ABC):
    """Base of the policies that grow trees of steps."""

    tokens: int | None = None
    """Most generated tokens of one solution; a beginning that has so many is not continued. None for no limit."""
    unknown: float = 0.5
    """What a step is worth, in [0, 1], about which the verifier abstains."""
    stop_at_pass: bool = True
    """Whether to return the first whole solution that passes and cancel the rest; not while `choose` is `vote`."""
    choose: Literal["best", "vote"] = "best"
    """Of the whole solutions return the best, or vote for an answer with their merits as weights."""
    name: str = field(default="step_by_step", init=False)

    @property
    def uses_answers(self) -> bool:
        """Whether it votes; the driver then has each whole solution's answer extracted."""
        return self.choose == "vote"

    @property
    @abstractmethod
    def most_steps(self) -> int:
        """Most steps of one solution."""

    @property
    def grown(self) -> int:
        """Number of trees."""
        return 1

    @abstractmethod
    def wanted(self, tree: Tree) -> Sequence[int | None]:
        """The nodes to continue next, each as often as it is to be continued; None for a first step. Empty means: no more.

        Asked while the tree waits for nothing.
        """

    def merit(self, tree: Tree, number: int) -> float:
        """What speaks for a node, in [0, 1]: in the search, and as a vote's weight."""
        return tree.nodes[number].value(self.unknown)

    def start(self, task: TaskView, seed: int) -> Forest:
        """Empty trees. Nothing is drawn here: the steps' seeds derive from their ids, so `seed` is not needed."""
        prefixes = [f"t{i}." for i in range(self.grown)] if self.grown > 1 else ["x"]
        return tuple(Tree(prefix=p) for p in prefixes)

    def ask(self, state: Forest) -> tuple[Forest, Moves]:
        """The next steps of each tree that waits for nothing."""
        trees, asked = list[Tree](), list[Expansion]()
        for tree in state:
            grown, expansions = tree.grow(() if tree.waiting else self.wanted(tree))
            trees.append(grown)
            asked.extend(expansions)
        return tuple(trees), Moves(expansions=tuple(asked))

    def tell(self, state: Forest, result: Scored) -> Forest:
        """One more result."""
        return tuple(tree.told(result) for tree in state)

    def finish(self, state: Forest, must: bool) -> Selection | None:
        """The first pass; else the choice, once no tree goes on."""
        if self.stop_at_pass and self.choose == "best":
            for tree in state:
                if tree.passed:
                    return Selection(id=tree.passed, reason="passed", details=outline(state))
        if not must and any(tree.waiting or self.wanted(tree) for tree in state):
            return None
        options = [Option(node=tree.nodes[number], merit=self.merit(tree, number)) for tree in state for number in tree.ends]
        return select(options, vote=self.choose == "vote", details=outline(state))

    def goes_on(self, node: Node) -> bool:
        """Whether a node may be continued."""
        return node.begun and node.depth < self.most_steps and not self.spent(node)

    def spent(self, node: Node) -> bool:
        """Whether a beginning has all the tokens that a solution may have."""
        return node.begun and self.tokens is not None and node.tokens >= self.tokens

    def best_first(self, tree: Tree, numbers: Sequence[int]) -> list[int]:
        """Those nodes by merit, the earliest of equals first."""
        return sorted(numbers, key=lambda i: (-self.merit(tree, i), i))

    def _check(self, **counts: int | None) -> None:
        """Refuse counts below 1 and what is no score or no way to choose."""
        for name, count in {**counts, "tokens": self.tokens}.items():
            if count is not None and count < 1:
                raise ConfigError(f"{name} is {count}", hint="at least 1")
        if not 0 <= self.unknown <= 1:
            raise ConfigError(f"unknown is {self.unknown}", hint="a number from 0 to 1")
        if self.choose not in ("best", "vote"):
            raise ConfigError(f"choose is {self.choose!r}", hint="best or vote")
