"""Scores by the probability of one token: scripted, and on a real vLLM."""

import json
import math
from dataclasses import replace

import pytest

from burnish import (
    BestOfN,
    EngineUnavailable,
    Prompt,
    ScriptedEngine,
)
from burnish.agents.judge import LlmJudge
from burnish.agents.judging import read_labels
from burnish.engine.replies import Reply
from burnish.engine.scripted import CAPABILITIES
from burnish.graphs.builtin import one_node
from tests.helpers import rows, searching, session
from tests.rubric_kit import RUBRIC, TASK, one_token, ran


async def test_a_score_by_probability_is_the_expected_value(tmp_path):
    def reply(call):
        return one_token(_4=0.5, _2=0.25, The=0.25) if "'correct'" in call.text else one_token(_0=0.9)

    verdict, judge, _ = await ran(tmp_path, LlmJudge(rubric=RUBRIC, by="probability", threshold=0.6), reply)
    scores = verdict[4]["scores"]
    assert scores["correct"] == pytest.approx((4 * 0.5 + 2 * 0.25) / 0.75)
    assert scores["short"] == 0
    assert verdict[1] == pytest.approx(0.75 * scores["correct"] / 4)
    assert verdict[4]["mass"] == {"correct": pytest.approx(0.75), "short": pytest.approx(0.9)}
    assert judge.calls == 2


async def test_a_token_counts_with_and_without_a_space(tmp_path):
    verdict, *_ = await ran(
        tmp_path, LlmJudge(rubric=RUBRIC, by="probability"), Reply("4", top_logprobs=[{"4": -1.0, " 4": -1.0}])
    )
    assert verdict[1] == 1.0
    assert verdict[4]["mass"]["correct"] == pytest.approx(2 * math.exp(-1))


async def test_a_model_that_would_say_something_else_is_an_abstention(tmp_path):
    verdict, judge, _ = await ran(tmp_path, LlmJudge(rubric=RUBRIC, by="probability"), lambda call: one_token(The=0.7, _4=0.3))
    assert verdict[:3] == ("abstain", None, "unparsable")
    assert judge.calls == 1


class Silent(ScriptedEngine):
    encode = None


class Splitting(ScriptedEngine):
    def encode(self, text):
        return tuple(map(ord, f"<{text}>"))


@pytest.mark.parametrize(
    ("judge", "message"),
    [
        (ScriptedEngine("4", capabilities=replace(CAPABILITIES, logprobs=False)), "logprobs"),
        (Silent("4"), "does not tell its tokens"),
        (Splitting("4"), "'0' is more than one token"),
    ],
)
async def test_an_engine_without_probabilities_of_tokens_is_an_error_that_says_so(tmp_path, judge, message):
    with pytest.raises(EngineUnavailable, match=message):
        await ran(tmp_path, LlmJudge(rubric=RUBRIC, by="probability"), judge)


@pytest.mark.vllm
@pytest.mark.asyncio(loop_scope="session")
async def test_on_vllm_the_probabilities_are_those_that_scoring_gives(tmp_path, vllm_engine):
    prompt, labels = "How good is the answer 4 to the question 2 + 2? Reply with one digit, 1 to 5, and nothing else.", "12345"
    found = []

    async def node(state, runtime):
        found.append(await read_labels(runtime.context, prompt, labels, role="judge", key="labels"))
        return {"answer": "read"}

    async with session(tmp_path, engine=vllm_engine, keep_engines=True) as open_session:
        await open_session.run(one_node("labels", node), TASK)
        judge = LlmJudge(rubric=RUBRIC, threshold=0, max_tokens=300)
        await open_session.run(searching(BestOfN(2), judge), TASK)
    scores = await vllm_engine.score(Prompt.of(prompt), list(labels))
    assert sum(found[0].probabilities.values()) == pytest.approx(1)
    for label, score in zip(labels, scores, strict=True):
        assert found[0].probabilities[label] * found[0].mass == pytest.approx(math.exp(score.total), abs=0.03)
    verdicts = rows(tmp_path, "SELECT outcome, score, reason, evidence FROM verdict")
    assert verdicts
    for outcome, score, reason, evidence in verdicts:
        if outcome == "abstain":
            assert (score, reason) == (None, "unparsable")
        else:
            assert all(0 <= s <= 4 for s in json.loads(evidence)["scores"].values())
