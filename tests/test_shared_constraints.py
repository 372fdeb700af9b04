"""One call finds the constraints for all verdicts of a run, whoever fails, is cancelled, or comes first on resume."""

import asyncio
from collections import Counter

import pytest

from burnish import (
    BestOfN,
    Completion,
    EngineUnavailable,
    GenerationFailed,
    ScriptedEngine,
    Task,
    make_verifier,
)
from burnish.agents.verification import VerificationAgent
from burnish.engine.replies import Reply
from tests.helpers import rows, searching, session
from tests.judging_kit import alone, by_seed, judged, model, nine

PLAIN = Task(prompt="When do they meet?")


def constraint_calls(path):
    return rows(path, "SELECT state FROM call WHERE role = 'constraint'")


async def test_concurrent_candidates_share_the_constraints(tmp_path):
    engine = ScriptedEngine(model("Score: 60"), latency=0.005)
    _, found = await judged(tmp_path, "", task=PLAIN, n=8, engine=engine)
    assert found == [("fail", 0.8, "below_threshold")] * 8
    assert constraint_calls(tmp_path) == [("ok",)]
    assert rows(tmp_path, "SELECT count(*) FROM call WHERE role != ''") == [(17,)]
    assert rows(tmp_path, "SELECT count(*) FROM call WHERE kind = 'constraints'") == [(7,)]


async def test_each_run_finds_its_own(tmp_path):
    async with session(tmp_path, model("Score: 60")) as s:
        graph = searching(BestOfN(3, stop_at_pass=False), VerificationAgent())
        await asyncio.gather(*(s.run(graph, Task(prompt=f"When? {n}")) for n in range(4)))
    assert constraint_calls(tmp_path) == [("ok",)] * 4


async def test_if_one_fails_to_find_them_the_next_one_asks(tmp_path):
    failures = []

    def constraints(call):
        if len(failures) < 2:
            failures.append(call)
            return Reply(error=GenerationFailed("no", code="scripted"))
        return "- on Monday"

    def reply(call):
        if call.text.startswith("You are an expert"):
            return constraints(call)
        return "Score: 60" if call.text.startswith("You check") else "Monday"

    _, found = await judged(tmp_path, "", task=PLAIN, n=5, engine=ScriptedEngine(reply, latency=0.002))
    assert Counter(found) == {("abstain", None, "scripted"): 2, ("fail", 0.8, "below_threshold"): 3}
    assert sorted(constraint_calls(tmp_path)) == [("error",), ("error",), ("ok",)]


@pytest.mark.parametrize("after", [1, 4, 9, 10, 13, 16])
async def test_a_resumed_run_judges_by_what_each_verdict_was_given(tmp_path, after):
    """The constraints would come out differently the second time: whoever had them keeps them."""

    class Dying(ScriptedEngine):
        left = after

        async def generate(self, prompt, sampling, **rest):
            self.left -= 1
            if self.left < 0:
                await asyncio.sleep(0.02)
                raise EngineUnavailable("gone")
            return await super().generate(prompt, sampling, **rest)

    graph = searching(BestOfN(8, stop_at_pass=False), VerificationAgent())
    async with session(tmp_path, engine=Dying(model("Score: 60", constraints="- first"), latency=0.003)) as s:
        try:
            run_id = (await s.run(graph, PLAIN)).run_id
        except EngineUnavailable as e:
            run_id = e.run_id
    before = rows(tmp_path, "SELECT position, attempts FROM call WHERE state = 'ok'")
    async with session(tmp_path, model("Score: 60", constraints="- second"), latency=0.003) as s:
        result = await s.resume(run_id, graph)
    assert result.error is None
    assert rows(tmp_path, "SELECT outcome, score FROM verdict") == [("fail", 0.8)] * 8
    assert set(before) <= set(rows(tmp_path, "SELECT position, attempts FROM call WHERE state = 'ok'"))
    assert len(constraint_calls(tmp_path)) <= 2


async def test_if_the_one_that_asks_is_cancelled_the_next_one_asks(tmp_path):
    def reply(call):
        if call.text.startswith("You are an expert"):
            return Reply("- on Monday", latency=0 if asked else 30)
        return "Score: 60" if call.text.startswith("You check") else "Monday"

    asked = []

    async def two(ctx):
        plans = [await ctx.add(Completion(f"plan {n}")) for n in range(2)]
        first = asyncio.create_task(ctx.verify(VerificationAgent(), plans[0]))
        second = asyncio.create_task(ctx.verify(VerificationAgent(), plans[1]))
        await asyncio.sleep(0.05)
        asked.append(True)
        first.cancel()
        await asyncio.wait([first])
        return (await second).score

    async with session(tmp_path, reply) as s:
        result = await asyncio.wait_for(s.run(alone(two), PLAIN), 20)
    assert result.answer == "0.8"
    assert sorted(constraint_calls(tmp_path)) == [("intent",), ("ok",)]


async def test_a_pass_ends_a_search_whose_constraints_are_still_asked_for(tmp_path):
    def reply(call):
        if call.text.startswith("You are an expert"):
            return Reply("- on Monday", latency=30)
        return Reply(by_seed(call), latency=0.05 if call.seed % 2 else 0)

    verifier = make_verifier({"name": "first_of", "verifiers": [nine, VerificationAgent()]})
    async with session(tmp_path, reply) as s:
        result = await asyncio.wait_for(s.run(searching(BestOfN(12), verifier), PLAIN), 20)
    assert result.verified
    assert result.answer == "Monday, 9:00"
    assert len(constraint_calls(tmp_path)) == 1
