"""The tree that solutions made step by step form: all that step-by-step policies know, and their whole state.

A node is a step, and stands for the beginning of a solution that ends with it. Which nodes are to be continued is always
worked out from the tree, so a policy's state is the tree and nothing beside it: linear in its nodes, without text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ..core.policy import Expansion, Scored
from ..core.verdict import Outcome


@dataclass(frozen=True, kw_only=True)
class Node:
    """One step that was asked for."""

    id: str
    """Id of its expansion."""
    parent: int | None = None
    """Number of the node that it continues; None for a first step."""
    depth: int = 1
    """Steps from the beginning, this one included."""
    told: bool = False
    """Whether its result is there."""
    outcome: Outcome = "abstain"
    score: float | None = None
    """In [0, 1]; None if the verifier gave none."""
    answer: str | None = None
    """Key of the extracted answer; None before the solution is whole, or if none could be extracted."""
    tokens: int = 0
    """Generated tokens from the beginning, this step included."""
    done: bool = False
    """Whether it completes a solution."""
    cut: bool = False
    """Whether it was cut at the limit of one step, so that it ends within a step."""
    dead: bool = False
    """Whether it came to nothing."""

    @property
    def begun(self) -> bool:
        """Whether it is the beginning of a solution."""
        return self.told and not self.dead and not self.done

    def value(self, unknown: float) -> float:
        """How much it promises, in [0, 1]: its score; without one 1 for a pass, 0 for a failure, `unknown` for an abstention."""
        if self.score is not None:
            return self.score
        return {"pass": 1.0, "fail": 0.0, "abstain": unknown}[self.outcome]


@dataclass(frozen=True)
class Tree:
    """Nodes in the order in which they were asked for; a node's number is its place among them."""

    nodes: tuple[Node, ...] = ()
    prefix: str = "x"
    """What the ids of its nodes begin with; their number follows."""
    waiting: int = 0
    """How many nodes have no result yet."""
    passed: str | None = None
    """The first whole solution told that passed; None while there is none."""

    def grow(self, parents: Sequence[int | None]) -> tuple[Tree, tuple[Expansion, ...]]:
        """With one more node for each of the parents, and what to ask for."""
        if not parents:
            return self, ()
        new, asked = list[Node](), list[Expansion]()
        for number, parent in enumerate(parents, len(self.nodes)):
            name = f"{self.prefix}{number}"
            if parent is None:
                new.append(Node(id=name))
                asked.append(Expansion(id=name, step=True))
            else:
                above = self.nodes[parent]
                new.append(Node(id=name, parent=parent, depth=above.depth + 1))
                asked.append(Expansion(id=name, kind="continue", parents=(above.id,), step=True))
        return replace(self, nodes=(*self.nodes, *new), waiting=self.waiting + len(new)), tuple(asked)

    def told(self, result: Scored) -> Tree:
        """With one more result; a duplicate or an unknown one changes nothing."""
        number = self._number(result.id)
        if number is None or self.nodes[number].told:
            return self
        node = self.nodes[number]
        above = 0 if node.parent is None else self.nodes[node.parent].tokens
        lost = result.error is not None
        node = replace(
            node,
            told=True,
            outcome=result.outcome,
            score=result.score,
            answer=result.answer,
            tokens=above + result.tokens,
            done=result.done and not lost,
            cut=result.finish_reason == "length" and not result.done,
            dead=lost,
        )
        passed = self.passed or (node.id if node.done and node.outcome == "pass" else None)
        nodes = (*self.nodes[:number], node, *self.nodes[number + 1 :])
        return replace(self, nodes=nodes, waiting=self.waiting - 1, passed=passed)

    @property
    def level(self) -> range:
        """Numbers of the nodes at the end that are equally deep: the last level, where the tree grows level by level."""
        first = len(self.nodes)
        while first and self.nodes[first - 1].depth == self.nodes[-1].depth:
            first -= 1
        return range(first, len(self.nodes))

    @property
    def continued(self) -> frozenset[int]:
        """Numbers of the nodes that steps were asked for behind."""
        return frozenset(n.parent for n in self.nodes if n.parent is not None)

    @property
    def ends(self) -> list[int]:
        """Numbers of the nodes that came to be and that no step behind them replaces."""
        inner = {n.parent for n in self.nodes if n.told and not n.dead}
        return [i for i, n in enumerate(self.nodes) if n.told and not n.dead and i not in inner]

    def path(self, number: int) -> list[Node]:
        """The steps that end with a node, the first one first."""
        found = list[Node]()
        at: int | None = number
        while at is not None:
            found.append(self.nodes[at])
            at = self.nodes[at].parent
        return found[::-1]

    def _number(self, name: str) -> int | None:
        """The node of that id. Ids come from outside, so nothing is taken for granted of them."""
        digits = name.removeprefix(self.prefix)
        if len(digits) > 9 or not digits.isdecimal():
            return None
        number = int(digits)
        return number if number < len(self.nodes) and self.nodes[number].id == name else None
