"""The driver with real parts: a store on disk, the scripted engine, LangGraph around it."""

import asyncio
import random
from collections import Counter
from dataclasses import dataclass, replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from burnish import (
    BestOfN,
    ConfigError,
    EngineUnavailable,
    Expansion,
    GenerationFailed,
    Majority,
    Moves,
    Probe,
    ReplayMismatch,
    ScriptedEngine,
    Selection,
    Task,
    Verdict,
)
from tests.helpers import rows, searching, session

NUMERIC = {"name": "numeric", "expected": 42}


def by_seed(*texts):
    """A reply that depends on the call's seed only."""
    return lambda call: random.Random(call.seed).choice(texts)


async def test_one_failing_candidate_leaves_its_siblings_alone(tmp_path):
    def reply(call):
        rng = random.Random(call.seed)
        return GenerationFailed("no", code="scripted") if rng.random() < 0.4 else "41"

    async with session(tmp_path, reply, latency=0.005) as s:
        result = await s.run(searching(BestOfN(20), NUMERIC), "?")
    assert result.outcome == "rejected"
    states = Counter(state for (state,) in rows(tmp_path, "SELECT state FROM call"))
    assert states["error"] > 2
    assert states["ok"] > 2
    assert states["error"] + states["ok"] == 20
    assert result.usage.failed_calls == states["error"]
    assert rows(tmp_path, "SELECT count(*) FROM candidate") == [(states["ok"],)]
    assert rows(tmp_path, "SELECT count(*) FROM tell") == [(20,)]


async def test_everything_is_in_flight_at_once_and_width_limits_it(tmp_path):
    running, most = 0, 0

    class Counting(ScriptedEngine):
        async def generate(self, *args, **kwargs):
            nonlocal running, most
            running += 1
            most = max(most, running)
            try:
                return await super().generate(*args, **kwargs)
            finally:
                running -= 1

    async with session(tmp_path, engine=Counting("1", latency=0.02)) as s:
        await s.run(searching(Majority(30), None), "?")
        assert most == 30
        most = 0
        await s.run(searching(Majority(30), None, width=4), "?")
        assert most == 4


async def test_a_pass_cancels_the_rest_and_their_tokens_are_accounted(tmp_path):
    def reply(call):
        return "42" if call.seed % 4 == 0 else "no " * 200

    def latency(call):
        return 0.02 if call.seed % 4 == 0 else 5.0

    async with session(tmp_path, reply, latency=latency) as s:
        result = await asyncio.wait_for(s.run(searching(BestOfN(16), NUMERIC), "?", seed=3), 4)
    assert result.verified
    assert result.answer == "42"
    states = dict(rows(tmp_path, "SELECT state, count(*) FROM call GROUP BY state"))
    assert states["cancelled"] > 4
    assert rows(tmp_path, "SELECT count(*) FROM call WHERE state = 'intent'") == [(0,)]
    assert rows(tmp_path, "SELECT count(*) FROM candidate c JOIN call k ON k.id = c.call_id WHERE k.state = 'cancelled'") == [
        (0,)
    ]
    assert rows(tmp_path, "SELECT count(*) FROM verdict WHERE reason = 'empty'") == [(0,)]
    told = {name for (name,) in rows(tmp_path, "SELECT told FROM tell")}
    assert len(told) < 16


@dataclass(frozen=True)
class Chain:
    """Each tell asks for two more; what it returns depends on the whole order of tells."""

    most: int = 12
    name: str = "chain"

    def start(self, task, seed):
        return (0, ())

    def ask(self, state):
        asked, told = state
        upto = min(self.most, 2 + 2 * len(told))
        return (max(asked, upto), told), Moves(expansions=tuple(Expansion(id=f"c{i}") for i in range(asked, upto)))

    def tell(self, state, result):
        return state[0], (*state[1], result.id)

    def finish(self, state, must):
        if not must and len(state[1]) < self.most:
            return None
        return Selection(id=state[1][0] if state[1] else None, reason="first", details={"order": list(state[1])})


async def order_of(path, run_id):
    return [name for (name,) in rows(path, "SELECT told FROM tell WHERE run_id = ? ORDER BY number", run_id)]


async def test_a_resumed_search_is_told_in_the_recorded_order(tmp_path):
    class Dying(ScriptedEngine):
        """Gives out after a number of calls."""

        left = 7

        async def generate(self, prompt, sampling, **rest):
            self.left -= 1
            if self.left < 0:
                await asyncio.sleep(0.05)
                raise EngineUnavailable("gone")
            return await super().generate(prompt, sampling, **rest)

    def latency(call):
        return random.Random(call.seed).uniform(0.001, 0.02)

    graph = searching(Chain(), None)
    async with session(tmp_path, engine=Dying(by_seed("a", "b"), latency=latency)) as s:
        with pytest.raises(EngineUnavailable) as caught:
            await s.run(graph, "?")
    run_id = caught.value.run_id
    before = await order_of(tmp_path, run_id)
    assert 0 < len(before) < 12
    sent = dict(rows(tmp_path, "SELECT position, attempts FROM call WHERE state = 'ok'"))

    # The other way round: what was fast is slow now.
    async with session(tmp_path, by_seed("a", "b"), latency=lambda call: 0.021 - latency(call)) as s:
        result = await s.resume(run_id, graph)
    after = await order_of(tmp_path, run_id)
    assert after[: len(before)] == before
    assert sorted(after) == sorted(f"c{i}" for i in range(12))
    assert result.answer is not None
    again = dict(rows(tmp_path, "SELECT position, attempts FROM call WHERE state = 'ok'"))
    assert {p: again[p] for p in sent} == sent


async def test_a_policy_that_changed_is_noticed(tmp_path):
    class Dying(ScriptedEngine):
        async def generate(self, prompt, sampling, **rest):
            if sampling.seed % 3 == 0:
                await asyncio.sleep(0.05)
                raise EngineUnavailable("gone")
            return await super().generate(prompt, sampling, **rest)

    async with session(tmp_path, engine=Dying("a")) as s:
        with pytest.raises(EngineUnavailable) as caught:
            await s.run(searching(Majority(30), None), "?")
    async with session(tmp_path, "a") as s:
        with pytest.raises(ReplayMismatch, match="does not ask for"):
            await s.resume(caught.value.run_id, searching(Majority(2), None))
        assert (await s.resume(caught.value.run_id, searching(Majority(30), None))).answer == "a"


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(calls=st.integers(1, 12), tokens=st.integers(1, 60), wide=st.integers(1, 12))
async def test_no_budget_is_ever_exceeded(tmp_path_factory, calls, tokens, wide):
    path = tmp_path_factory.mktemp("budget")
    task = Task(prompt="?", sampling={"max_tokens": 8})
    async with session(path, by_seed("one", "two three", "four five six seven"), latency=0.001) as s:
        result = await s.run(searching(Majority(wide), None), task, budget={"calls": calls, "output_tokens": tokens})
    assert result.usage.calls <= calls
    assert result.usage.output_tokens <= tokens
    if wide > calls or tokens < 8:
        assert result.budget_limit in ("calls", "output_tokens")
    if tokens < 8:
        assert result.outcome == "no_answer"
    else:
        assert result.answer is not None
    spent = rows(path, "SELECT coalesce(sum(calls), 0), coalesce(sum(output_tokens), 0) FROM budget_entry WHERE kind = 'settle'")
    assert spent == [(result.usage.calls, result.usage.output_tokens)]


async def test_a_candidate_that_the_budget_leaves_unjudged_is_kept_and_no_more_are_begun(tmp_path):
    async with session(tmp_path, "41", latency=0.002) as s:
        result = await s.run(searching(BestOfN(40, stop_at_pass=False), NUMERIC, width=2), "?", budget={"verifier_calls": 3})
        again = await s.resume(result.run_id, searching(BestOfN(40, stop_at_pass=False), NUMERIC, width=2))
    assert (result.budget_limit, result.outcome) == ("verifier_calls", "unverified")
    assert (again.answer, again.candidate_id) == (result.answer, result.candidate_id)
    assert rows(tmp_path, "SELECT count(*) FROM verdict") == [(3,)]
    ((made,),) = rows(tmp_path, "SELECT count(*) FROM candidate")
    assert 4 <= made <= 4 + 2  # Two may be on their way when the refusal is told.
    ((lost,),) = rows(tmp_path, "SELECT json_extract(details, '$.failed') FROM decision")
    assert lost == 0


async def test_the_deadline_ends_a_search_with_the_best_so_far(tmp_path):
    def latency(call):
        return 0.01 if call.seed % 2 else 60

    async with session(tmp_path, "41", latency=latency) as s:
        result = await asyncio.wait_for(s.run(searching(BestOfN(12), NUMERIC), "?", budget={"seconds": 0.5}), 10)
    assert result.budget_limit == "seconds"
    assert result.answer == "41"
    assert result.outcome == "rejected"
    assert rows(tmp_path, "SELECT count(*) > 0 FROM call WHERE state = 'cancelled'") == [(1,)]


class Strange:
    """A verifier that does what it is told to."""

    name, version, oracle, judges_truncated = "strange", "1", False, False

    def __init__(self, does):
        self.does = does

    async def verify(self, task, candidate, ctx=None):
        return self.does()


def boom():
    raise RuntimeError("the verifier is broken")


@pytest.mark.parametrize(
    "does", [boom, lambda: "rubbish", lambda: float("nan"), lambda: 7, lambda: Verdict(outcome="fail", score=2)]
)
async def test_a_verifier_that_cannot_judge_abstains(tmp_path, does):
    async with session(tmp_path, "x") as s:
        result = await s.run(searching(BestOfN(3), Strange(does)), "?")
    assert result.outcome == "unverified"
    assert result.usage.abstentions == 3
    assert rows(tmp_path, "SELECT DISTINCT outcome, score FROM verdict") == [("abstain", None)]


async def test_an_empty_answer_fails_and_a_cut_one_is_no_answer(tmp_path):
    async with session(tmp_path, "") as s:
        assert (await s.run(searching(BestOfN(2), NUMERIC), "?")).outcome == "rejected"
    assert rows(tmp_path, "SELECT DISTINCT outcome, reason FROM verdict") == [("fail", "empty")]
    (tmp_path / "cut").mkdir()
    async with session(tmp_path / "cut", "41 42 42") as s:
        result = await s.run(searching(BestOfN(2), NUMERIC), Task(prompt="?", sampling={"max_tokens": 2}, extract="last_number"))
    assert result.outcome == "unverified"
    assert rows(tmp_path / "cut", "SELECT DISTINCT outcome, reason FROM verdict") == [("abstain", "truncated")]
    assert rows(tmp_path / "cut", "SELECT DISTINCT finish_reason, answer FROM candidate") == [("length", None)]


@dataclass(frozen=True)
class Probing:
    """One candidate, judged twice."""

    name: str = "probing"

    def start(self, task, seed):
        return (False, False, ())

    def ask(self, state):
        asked, probed, told = state
        if not asked:
            return (True, probed, told), Moves(expansions=(Expansion(id="x0"),))
        if told and not probed:
            return (True, True, told), Moves(probes=(Probe(id="again", target="x0"),))
        return state, Moves()

    def tell(self, state, result):
        return (*state[:2], (*state[2], (result.id, result.outcome)))

    def finish(self, state, must):
        return Selection(id="x0", reason="probed", details={"told": list(state[2])}) if must or len(state[2]) == 2 else None


async def test_a_probe_judges_once_more_and_makes_no_candidate(tmp_path):
    async with session(tmp_path, "42") as s:
        result = await s.run(searching(Probing(), NUMERIC), "?")
    assert result.verified
    assert rows(tmp_path, "SELECT count(*) FROM candidate") == [(1,)]
    assert rows(tmp_path, "SELECT count(*) FROM verdict") == [(2,)]


class Twice(Probing):
    def ask(self, state):
        return state, Moves(expansions=(Expansion(id="x0"), Expansion(id="x0")))


class Silent(Probing):
    def finish(self, state, must):
        return None


@pytest.mark.parametrize(("policy", "match"), [(Twice(), "twice"), (Silent(), "chose nothing")])
async def test_a_policy_that_breaks_its_contract_is_named(tmp_path, policy, match):
    async with session(tmp_path, "42") as s:
        with pytest.raises(ConfigError, match=match):
            await s.run(searching(policy, NUMERIC), "?")


@dataclass(frozen=True)
class Growing:
    """A first draft, then a continuation, a refinement and a repair of it."""

    name: str = "growing"

    def start(self, task, seed):
        return (0, 0)

    def ask(self, state):
        asked, told = state
        if asked == 0:
            return (1, told), Moves(expansions=(Expansion(id="root"),))
        if told == 1 and asked == 1:
            kinds = ("continue", "refine", "repair")
            return (4, told), Moves(expansions=tuple(Expansion(id=k, kind=k, parents=("root",)) for k in kinds))
        return state, Moves()

    def tell(self, state, result):
        return (state[0], state[1] + 1)

    def finish(self, state, must):
        return Selection(id="continue", reason="grown") if must or state[1] == 4 else None


class Halfway(Strange):
    async def verify(self, task, candidate, ctx=None):
        return replace(Verdict.failed("the second word is wrong"), valid_prefix=4)


async def test_candidates_made_from_others_carry_prefix_and_lineage(tmp_path):
    def reply(call):
        return "one two" if "earlier" not in call.text else "better"

    async with session(tmp_path, reply) as s:
        result = await s.run(searching(Growing(), Halfway(None)), "?")
    assert result.answer.startswith("one two")
    assert result.answer != "one two"
    kinds = {k: (p, d) for k, p, d in rows(tmp_path, "SELECT kind, parent_id, depth FROM candidate")}
    root = rows(tmp_path, "SELECT id FROM candidate WHERE kind = 'fresh'")[0][0]
    assert kinds == {"fresh": (None, 0), "continue": (root, 1), "refine": (root, 1), "repair": (root, 1)}
    previews = {k: p for k, p in rows(tmp_path, "SELECT kind, preview FROM candidate")}
    assert previews["repair"].startswith("one ")
    assert previews["refine"] == "better"
