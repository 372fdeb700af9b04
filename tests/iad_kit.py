"""Worlds for iterative search: results of expansions by a rule, and a policy played in them."""

from dataclasses import dataclass
from typing import Any

from burnish import Scored, TaskView

TASK = TaskView(id="t")


@dataclass
class Played:
    choice: Any
    asked: list
    state: Any
    rounds: list
    """Expansions of each round."""

    @property
    def details(self):
        return self.choice.details

    @property
    def kinds(self):
        return [e.kind for e in self.asked]


def play(policy, world, rng=None, *, tells=10**6):
    """Run a policy until it chooses, or insist after some tells. With `rng` results land in any order."""
    state, flying, asked, rounds, told = policy.start(TASK, 0), [], [], [], 0
    while (choice := policy.finish(state, False)) is None:
        state, moves = policy.ask(state)
        flying += moves.expansions
        asked += moves.expansions
        if moves.expansions:
            rounds.append(list(moves.expansions))
        if not flying or told == tells:
            choice = policy.finish(state, True)
            break
        result = world(flying.pop(rng.randrange(len(flying)) if rng else 0))
        told += 1
        state = policy.tell(state, result)
        for stray in (result, Scored(id="x9999", outcome="pass", score=1.0), Scored(id="")):
            assert policy.tell(state, stray) == state
    return Played(choice, asked, state, rounds)


def fail(score: float | None = 0.0, **rest):
    return {"outcome": "fail", "score": score, **rest}


PASS = {"outcome": "pass", "score": 1.0}
UNKNOWN: dict = {}


def table(*results):
    """The results of x0, x1, ...; the last one for all that follow. Without an answer given, each has its own."""

    def world(expansion):
        number = int(expansion.id[1:])
        result = results[min(number, len(results) - 1)]
        return Scored(id=expansion.id, **{"answer": expansion.id, "finish_reason": "stop", **result})

    return world


NUMERIC = {"name": "numeric", "expected": 42}
GUESSES = 0.25
TOLD = 0.6


def guess(call):
    """Right with a chance that is higher for who is told what is wrong."""
    chance = TOLD if "What is wrong" in call.text else GUESSES
    return "42" if call.random.random() < chance else str(call.random.randrange(100, 10**6))
