"""The 23 procedures of ProcBench: how inputs are drawn, what the first state is, and which commands follow.

The names are those of the published tasks, in their order; `split_at` and `split_piece` are Split1 and Split2, `count_letters` is
Count2.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice, repeat

from . import procbench_draw as draw
from . import procbench_steps as steps
from .procbench_draw import Inputs
from .procbench_steps import Command, State, Step

LONGEST = 100
"""No procedure takes more steps than this; a task that would is malformed."""
_TRIES = 20_000


def _identity(state: State, last: bool) -> State:
    return state


@dataclass(frozen=True)
class Procedure:
    """One kind of task."""

    draw: Callable[[random.Random, int], Inputs]
    """Inputs that may take so many steps."""
    step: Step
    begin: Callable[[Inputs], State]
    """The state before the first step."""
    commands: Callable[[Inputs], Iterable[Command]]
    """One for each step; endless where the state says when it is over."""
    shown: Callable[[State, bool], State] = _identity
    """What an answer shows of a state; told whether it is the last one."""

    def states(self, inputs: Inputs) -> list[State]:
        """Every state after the first, as an answer shows it."""
        state, found = self.begin(inputs), list[State]()
        for command in islice(self.commands(inputs), LONGEST):
            try:
                state = self.step(state, command)
            except steps.Done:
                break
            found.append(state)
        return [self.shown(state, i + 1 == len(found)) for i, state in enumerate(found)]

    def drawn(self, rng: random.Random, count: int) -> Inputs:
        """Inputs that take exactly `count` steps and whose states can all be written down, by rejection."""
        for _ in range(_TRIES):
            inputs = self.draw(rng, count)
            states = self.states(inputs)
            if len(states) == count and "" not in states:
                return inputs
        raise ValueError(f"{_TRIES} draws gave no task of {count} steps")


def _rhythm_commands(inputs: Inputs) -> list[Command]:
    numbers, letters = inputs["numbers"], inputs["letters"]
    return [f"{numbers[k % len(numbers)]}{letters[k % len(letters)]}" for k in range(inputs["steps"])]


def _compare_commands(inputs: Inputs) -> list[Command]:
    """All candidates up to the one that is the target."""
    target, candidates = inputs["target"], inputs["candidates"]
    return [(target, candidate) for candidate in candidates[: candidates.index(target) + 1]]


PROCEDURES: dict[str, Procedure] = {
    "sort": Procedure(draw.sort, steps.sort, lambda i: i["string"], lambda i: repeat(None)),
    "gather": Procedure(
        draw.gather, steps.gather, lambda i: "", lambda i: [(i["strings"][n], begin, length) for n, begin, length in i["triples"]]
    ),
    "count": Procedure(draw.count_mixed, steps.count, lambda i: [], lambda i: [*i["strings"], None], steps.shown_count),
    "search": Procedure(
        draw.search, steps.search, lambda i: [0] * len(i["strings"]), lambda i: [(text, i["strings"]) for text in i["substrings"]]
    ),
    "copy": Procedure(draw.copy, steps.copy, lambda i: "", lambda i: [i["strings"][n] for n in i["indices"]]),
    "substitute": Procedure(
        draw.substitute,
        steps.substitute,
        lambda i: [i["string"], 0],
        lambda i: [i["table"]] * len(i["string"]),
        steps.shown_first,
    ),
    "encode": Procedure(draw.encode, steps.encode, lambda i: [[], i["string"]], lambda i: repeat(None), steps.shown_first),
    "split_at": Procedure(draw.split_at, steps.split_at, lambda i: [i["string"]], lambda i: i["positions"]),
    "split_piece": Procedure(draw.split_piece, steps.split_piece, lambda i: [i["string"]], lambda i: i["pairs"]),
    "compose": Procedure(draw.compose, steps.compose, lambda i: list(i["string"]), lambda i: repeat(i["rules"])),
    "decompose": Procedure(draw.decompose, steps.decompose, lambda i: i["string"], lambda i: repeat(i["rules"])),
    "rhythm": Procedure(draw.rhythm, steps.copy, lambda i: "", _rhythm_commands),
    "compare": Procedure(draw.compare, steps.compare, lambda i: [], _compare_commands, steps.shown_compare),
    "count_letters": Procedure(draw.sentence, steps.count_letters, lambda i: [0] * 26, lambda i: i["sentence"].split()),
    "decode": Procedure(draw.decode, steps.decode, lambda i: "", lambda i: i["pieces"]),
    "push_pop": Procedure(draw.push_pop, steps.push_pop, lambda i: i["string"], lambda i: i["actions"]),
    "rotate": Procedure(draw.rotate, steps.rotate, lambda i: i["string"], lambda i: i["pairs"]),
    "fill_word": Procedure(draw.fill_word, steps.fill_word, lambda i: i["sentence"], lambda i: i["words"]),
    "delete_char": Procedure(draw.delete_char, steps.delete_char, lambda i: i["string"], lambda i: i["letters"]),
    "delete_word": Procedure(draw.delete_word, steps.delete_word, lambda i: i["sentence"], lambda i: i["words"]),
    "cumulate": Procedure(draw.cumulate, steps.cumulate, lambda i: i["start"], lambda i: i["operations"]),
    "move_cyclic": Procedure(draw.move_cyclic, steps.move_cyclic, lambda i: i["row"], lambda i: i["moves"]),
    "find_cyclic": Procedure(
        draw.find_cyclic,
        steps.find_cyclic,
        lambda i: [i["letter"], i["number"]],
        lambda i: [i["string"]] * i["number"],
        steps.shown_find,
    ),
}
"""By name, in the order of the benchmark."""
