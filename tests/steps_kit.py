"""A world for step-by-step policies without engine or run: steps are right with a known rate, a verifier errs with another."""

import json
import math
import random
from collections import Counter
from dataclasses import asdict, dataclass, field

import pytest
from hypothesis import strategies as st

from burnish import Cancelled, Scored, ScriptedEngine, TaskView
from burnish.engine.replies import Reply
from tests.helpers import rows, session

TASK = TaskView(id="t")


@dataclass
class World:
    """A solution is right if all its `length` steps are. What a step is depends on its id and the seed only."""

    seed: int = 0
    right: float = 0.5
    """How often a step behind a right beginning is right; behind a wrong one none is."""
    errs: float = 0.0
    """How often the verifier takes a right beginning for a wrong one, and the other way round."""
    length: int = 3
    lost: float = 0.0
    """How often a step comes to nothing."""
    abstains: float = 0.0
    early: float = 0.0
    """How often a solution ends before its length."""
    is_right: dict[str, bool] = field(default_factory=dict)
    depth: dict[str, int] = field(default_factory=dict)

    def __call__(self, expansion):
        rng = random.Random(f"{self.seed} {expansion.id}")
        lost, right, errs, abstains, early = (rng.random() for _ in range(5))
        above = expansion.parents[0] if expansion.parents else None
        self.depth[expansion.id] = depth = 1 + (self.depth[above] if above else 0)
        if lost < self.lost:
            return Scored(id=expansion.id, error="generation")
        here = right < self.right and (above is None or self.is_right[above])
        self.is_right[expansion.id] = here
        done = depth >= self.length or early < self.early
        end = {"done": done, "finish_reason": "stop" if done else "boundary", "tokens": 5, "answer": str(here) if done else None}
        if abstains < self.abstains:
            return Scored(id=expansion.id, **end)
        good = here != (errs < self.errs)
        return Scored(id=expansion.id, outcome="pass" if good else "fail", score=float(good), **end)


@dataclass
class Played:
    choice: object
    asked: list
    state: object


def play(policy, world, rng=None, *, noise=False, steps=10**6):
    """Run a policy in a world until it chooses, or insist after some tells. With `rng` results land in any order."""
    state, flying, asked, told = policy.start(TASK, 0), [], [], []
    while (choice := policy.finish(state, False)) is None:
        state, moves = policy.ask(state)
        flying += moves.expansions
        asked += moves.expansions
        if not flying or len(told) == steps:
            choice = policy.finish(state, True)
            break
        told.append(world(flying.pop(rng.randrange(len(flying)) if rng else 0)))
        state = policy.tell(state, told[-1])
        if noise:
            for stray in (told[0], Scored(id="x99", outcome="pass"), Scored(id="x" + "9" * 5000), Scored(id="x٣"), Scored(id="")):
                assert policy.tell(state, stray) == state
    return Played(choice, asked, state)


def rate(policy, trials=600, **world):
    """How often the policy returns a right whole solution."""
    won = 0
    for seed in range(trials):
        place = World(seed=seed, **world)
        choice = play(policy, place).choice
        won += place.is_right.get(choice.id, False) and choice.reason != "unfinished"
    return won / trials


def agrees(measured, exact, trials=600):
    """Whether a measured rate is within four standard errors of what it should be."""
    return abs(measured - exact) <= 4 * math.sqrt(max(exact * (1 - exact), 1 / trials) / trials)


def binomial(n, p):
    """Chances of 0 to n."""
    return [math.comb(n, k) * p**k * (1 - p) ** (n - k) for k in range(n + 1)]


WORLDS = st.builds(
    World,
    seed=st.integers(0, 10**6),
    right=st.floats(0, 1),
    errs=st.floats(0, 0.5),
    length=st.integers(1, 6),
    lost=st.sampled_from([0.0, 0.2, 1.0]),
    abstains=st.sampled_from([0.0, 0.3, 1.0]),
    early=st.sampled_from([0.0, 0.2]),
)


def check_contract(policy, world, rng, most, depth):
    """What holds for every step-by-step policy in every world, whatever the order in which results land."""
    played = play(policy, world, rng, noise=True)
    choice, asked, nodes = played.choice, played.asked, [n for t in played.state for n in t.nodes]
    assert len(asked) <= most
    assert len({e.id for e in asked}) == len(asked)
    assert all(e.step and (e.kind == "continue" if e.parents else e.kind == "fresh") for e in asked)
    parents = {p for e in asked for p in e.parents}
    assert all(n.told and not n.dead and not n.done for n in nodes if n.id in parents)
    assert max((n.depth for n in nodes), default=0) <= depth
    assert choice == policy.finish(played.state, True)
    assert choice.details["nodes"] == len(asked) == sum(choice.details["widths"])
    whole = [n for n in nodes if n.done]
    alive = [n for n in nodes if n.told and not n.dead]
    assert (choice.id is None) == (not alive)
    assert choice.reason == "no_candidate" or choice.id in {n.id for n in alive}
    assert (choice.reason == "unfinished") == bool(alive and not whole)
    assert not whole or choice.id in {n.id for n in whole}
    text = json.dumps([asdict(t) for t in played.state])
    assert len(text) <= 100 + 220 * len(asked) + 50 * len(played.state)
    part = play(policy, world, rng, steps=rng.randrange(max(1, len(asked))))
    assert part.choice is not None
    assert (part.choice.id is None) == (part.choice.reason == "no_candidate")
    return played


def check_any_order(policy, world, rng):
    """Neither asks nor choice depend on the order in which results land."""
    first, other = play(policy, world), play(policy, world, rng)
    assert Counter(e.id for e in first.asked) == Counter(e.id for e in other.asked)
    assert first.choice == other.choice


LINES = ("one\n", "two\n", "three\n", "end")
"""The solution that the scripted engine looks for, line by line."""


def next_line(call):
    """The next line, right more often than not; what follows it is cut at the boundary."""
    written = call.prefix.count("\n")
    if written >= len(LINES) - 1:
        return Reply(LINES[-1])
    return Reply((LINES[written] if call.random.random() < 0.6 else "wrong\n") + "never seen")


def right_lines(task, text):
    """A process verifier: the share of lines that are right; 1, which passes, for all of them."""
    lines = text.splitlines(keepends=True)
    return sum(a == b for a, b in zip(lines, LINES, strict=False)) / len(lines)


PROCESS = {"name": "python_function", "function": f"{__file__}:right_lines", "timeout": None, "judges_prefixes": True}


async def check_graph(tmp_path, name, settings):
    """A built-in graph finds the solution; stopped at any call and resumed it gives the same, and no call is made twice."""
    settings = {"verifier": PROCESS, "stop_at_pass": False, **settings}
    whole = tmp_path / "whole"
    whole.mkdir()
    async with session(whole, engine=ScriptedEngine(next_line)) as s:
        expected = await s.run(name, "?", settings=settings, seed=2)
    calls = sorted(rows(whole, "SELECT position FROM call WHERE state = 'ok'"))
    assert expected.answer == "".join(LINES)
    assert expected.verified
    assert rows(whole, "SELECT policy, reason FROM decision") == [(name, "passed")]
    for stop_at in (len(calls) // 3, len(calls) - 1):
        path = tmp_path / f"stopped{stop_at}"
        path.mkdir()
        await _stopped_and_resumed(path, name, settings, stop_at, expected)
        assert sorted(rows(path, "SELECT position FROM call WHERE state = 'ok'")) == calls


async def _stopped_and_resumed(path, name, settings, stop_at, expected):
    asked, served, started = [], Counter(), []

    def reply(call):
        asked.append(call.seed)
        if len(asked) == stop_at:
            s.stop.request("interrupted")
        return next_line(call)

    class Counting(ScriptedEngine):
        async def generate(self, prompt, sampling, **rest):
            made = await super().generate(prompt, sampling, **rest)
            served[sampling.seed] += made.finish_reason != "aborted"
            return made

    async with session(path, engine=Counting(reply, latency=0.001)) as s:
        with pytest.raises(Cancelled):
            await s.run(name, "?", settings=settings, seed=2, on_start=started.append)
    before = served.total()
    async with session(path, engine=Counting(next_line)) as s:
        result = await s.resume(started[0])
    assert result.answer == expected.answer
    assert served.total() > before
    assert set(served.values()) == {1}
