"""The judges: rubrics, what may be replied, both ways of scoring, both orders; with a store on disk and scripted engines."""

import json
import math
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from burnish import (
    BestOfN,
    Candidate,
    ConfigError,
    EngineUnavailable,
    GenerationFailed,
    Prompt,
    ScriptedEngine,
    Task,
    make_verifier,
)
from burnish.agents.judge import LlmJudge, scores_form
from burnish.agents.judging import read_labels
from burnish.agents.pairwise import Comparison, PairwiseJudge, knockout, pair_form
from burnish.agents.quoting import quote
from burnish.agents.rubric import DEFAULT, read_rubric
from burnish.agents.structured import Unreadable
from burnish.core.errors import Cancelled
from burnish.core.verify import judge as judged
from burnish.engine.replies import Reply
from burnish.engine.scripted import CAPABILITIES
from burnish.graphs.builtin import one_node
from tests.helpers import rows, searching, session

ENFORCING = replace(CAPABILITIES, json_schema=True)
RUBRIC = {
    "criteria": [{"name": "correct", "description": "The sum is right.", "weight": 3}, {"name": "short"}],
    "scale": [0, 4],
    "levels": {"0": "wrong", "4": "right"},
}
TASK = Task(prompt="2 + 2?", id="sum")


def said(correct, short, reasoning="because"):
    return json.dumps({"reasoning": reasoning, "scores": {"correct": correct, "short": short}})


def engines(reply, judge_reply, **options):
    judge = judge_reply if isinstance(judge_reply, ScriptedEngine) else ScriptedEngine(judge_reply, **options)
    return {"default": ScriptedEngine(reply), "judge": judge}


async def ran(path, verifier, judge_reply, *, reply="It is 4", task=TASK, **options):
    """The verdict row of one candidate, and the judge's engine."""
    given = engines(reply, judge_reply, **options)
    async with session(path, engine=given["default"], engines={"judge": given["judge"]}) as open_session:
        result = await open_session.run(searching(BestOfN(1), verifier), task)
    [(outcome, score, reason, feedback, evidence)] = rows(
        path, "SELECT outcome, score, reason, feedback, evidence FROM verdict ORDER BY position"
    )
    return (outcome, score, reason, feedback or "", json.loads(evidence or "{}")), given["judge"], result


# A rubric is data.


def test_scores_become_one_number_by_weight():
    rubric = read_rubric(RUBRIC, where="here")
    assert rubric.unit({"correct": 4, "short": 0}) == 0.75
    assert rubric.unit({"correct": 0, "short": 4}) == 0.25
    assert rubric.unit({"correct": 4, "short": 4}) == 1
    assert rubric.unit({"correct": 0, "short": 0}) == 0
    assert read_rubric(rubric.to_json(), where="here") == rubric


@given(st.lists(st.tuples(st.floats(1e-9, 1e9), st.integers(-3, 7)), min_size=1, max_size=20))
def test_any_scores_of_the_scale_are_within_0_and_1(entries):
    criteria = [{"name": f"c{i}", "weight": weight} for i, (weight, _) in enumerate(entries)]
    rubric = read_rubric({"criteria": criteria, "scale": [-3, 7]}, where="here")
    assert 0 <= rubric.unit({f"c{i}": score for i, (_, score) in enumerate(entries)}) <= 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"criteria": []}, "1 to 20"),
        ({"criteria": None}, "1 to 20"),
        ({"criteria": "correct"}, "1 to 20"),
        ({"criteria": [{"name": "a"}] * 21}, "1 to 20"),
        ({"criteria": [{"name": "a"}, {"name": "A"}]}, "two criteria have one name"),
        ({"criteria": [{"name": ""}]}, "a criterion's name"),
        ({"criteria": [{"name": "x\ny"}]}, "a criterion's name"),
        ({"criteria": [7]}, "a criterion's name"),
        ({"criteria": [{"name": "a", "weight": 0}]}, "weight of a"),
        ({"criteria": [{"name": "a", "weight": float("nan")}]}, "weight of a"),
        ({"criteria": [{"name": "a", "weight": True}]}, "weight of a"),
        ({"criteria": [{"name": "a", "wight": 1}]}, "has no wight"),
        ({"criteria": [{"name": "a", "description": 1}]}, "description of a"),
        ({"scale": [5, 1]}, "scale is"),
        ({"scale": [1, 1]}, "scale is"),
        ({"scale": [0, 1000]}, "scale is"),
        ({"scale": [1, 5.0]}, "scale is"),
        ({"scale": [1, True]}, "scale is"),
        ({"scale": 5}, "scale is"),
        ({"levels": {"9": "?"}}, "levels is"),
        ({"levels": ["bad", "good"]}, "levels is"),
        ({"criterion": []}, "the rubric has no criterion"),
    ],
)
def test_a_rubric_that_is_none_is_refused_by_name(change, message):
    with pytest.raises(ConfigError, match=message):
        LlmJudge(rubric={**RUBRIC, **change})


def test_a_rubric_comes_from_a_file_or_the_task_or_else_is_a_general_one(tmp_path):
    file = tmp_path / "rubric.json"
    file.write_text(json.dumps(RUBRIC))
    assert LlmJudge(rubric=str(file)).rubric_for(TASK) == (read_rubric(RUBRIC, where=""), "settings")
    with_own = Task(prompt="?", metadata={"rubric": RUBRIC})
    assert LlmJudge().rubric_for(with_own) == (read_rubric(RUBRIC, where=""), "task")
    assert LlmJudge().rubric_for(TASK) == (DEFAULT, "default")
    file.write_text("{")
    for value, message in ((str(file), "holds no JSON"), (str(tmp_path / "none.json"), "cannot read the rubric")):
        with pytest.raises(ConfigError, match=message):
            LlmJudge(rubric=value)
    for wrong in ("/etc/passwd", [], {"criteria": []}):
        with pytest.raises(ConfigError):
            LlmJudge().check(Task(prompt="?", metadata={"rubric": wrong}))


def test_the_version_changes_with_what_changes_a_judgement():
    settings = [
        {},
        {"rubric": RUBRIC},
        {"rubric": {**RUBRIC, "scale": [0, 5]}},
        {"by": "probability"},
        {"threshold": 0.5},
        {"longest": 1000},
        {"role": "other"},
        {"judges_prefixes": True},
        {"template": "{rubric}{question}{stage}{answer}{form}"},
    ]
    versions = [LlmJudge(**s).version for s in settings]
    assert len(set(versions)) == len(settings)
    assert versions == [LlmJudge(**s).version for s in settings]


@pytest.mark.parametrize("setting", [{"by": "vote"}, {"threshold": 1.5}, {"max_tokens": 0}, {"longest": 10}])
def test_settings_out_of_range_are_refused(setting):
    with pytest.raises(ConfigError, match=next(iter(setting))):
        LlmJudge(**setting)


# What is replied is read as a whole, or not at all.


@pytest.mark.parametrize(
    ("reply", "problem"),
    [
        ("Score: 4", "not JSON"),
        (f"Here it is: {said(4, 4)}", "not JSON"),
        (f"{said(0, 0)}\n{said(4, 4)}", "not JSON"),
        ('{"scores": {"correct": 4, "short": 4}}', "no reasoning"),
        ('{"reasoning": "", "scores": {"correct": 4}}', "no short"),
        ('{"reasoning": "", "scores": [4, 4]}', "JSON object"),
        ('{"reasoning": "", "scores": {"correct": 4, "short": 4, "extra": 4}}', "no criterion extra"),
        ('{"reasoning": 5, "scores": {"correct": 4, "short": 4}}', "not a text"),
        (said("4", 4), "no integer"),
        (said(4.0, 4), "no integer"),
        (said(True, 4), "no integer"),
        (said(None, 4), "no integer"),
        (said(5, 4), "not 0 to 4"),
        (said(-1, 4), "not 0 to 4"),
        (said(10**30, 4), "not 0 to 4"),
        ('{"reasoning": "", "scores": {"correct": NaN, "short": 4}}', "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("", "not JSON"),
    ],
)
def test_a_reply_of_another_form_is_no_judgement(reply, problem):
    with pytest.raises(Unreadable, match=problem):
        scores_form(read_rubric(RUBRIC, where="")).of_text(reply)


async def test_a_good_answer_passes_and_a_bad_one_fails_with_the_reasons(tmp_path):
    verdict, judge, result = await ran(tmp_path, LlmJudge(rubric=RUBRIC), said(4, 2))
    assert verdict[:3] == ("pass", 0.875, "")
    assert verdict[4]["scores"] == {"correct": 4, "short": 2}
    assert verdict[4]["rubric"]["from"] == "settings"
    assert judge.calls == 1
    assert result.score == 0.875
    (tmp_path / "b").mkdir()
    verdict, *_ = await ran(tmp_path / "b", LlmJudge(rubric=RUBRIC), f"```json\n{said(1, 2, 'It is off by one.')}\n```")
    assert verdict[:3] == ("fail", 0.3125, "below_threshold")
    assert verdict[3] == "It is off by one.\nScores from 0 to 4: correct 1, short 2"


async def test_an_unreadable_reply_is_asked_for_once_more_with_the_error(tmp_path):
    def reply(call):
        return said(4, 4) if "could not be read" in call.text and "not JSON" in call.text else "Splendid, 10/10!"

    verdict, judge, _ = await ran(tmp_path, LlmJudge(rubric=RUBRIC), reply)
    assert (verdict[0], verdict[1], judge.calls) == ("pass", 1.0, 2)


@pytest.mark.parametrize("reply", ["Splendid, 10/10!", said(9, 9), Reply(said(4, 4), finish_reason="length")])
async def test_after_that_the_judge_abstains_and_never_invents_a_score(tmp_path, reply):
    verdict, judge, result = await ran(tmp_path, LlmJudge(rubric=RUBRIC), reply)
    assert verdict[:3] == ("abstain", None, "unparsable")
    assert verdict[4]["problem"]
    assert judge.calls == 2
    assert result.score is None


async def test_a_failed_call_is_an_abstention_and_a_missing_engine_ends_the_run(tmp_path):
    verdict, *_ = await ran(tmp_path, LlmJudge(), GenerationFailed("too busy", code="rate_limited"))
    assert verdict[:3] == ("abstain", None, "rate_limited")
    assert (await judged(LlmJudge(), TASK, Candidate.of("4"))).reason == "no_run"


async def test_the_engine_enforces_the_form_where_it_can(tmp_path):
    asked = []

    def reply(call):
        asked.append(call.sampling)
        return said(3, 4)

    await ran(tmp_path, LlmJudge(rubric=RUBRIC), ScriptedEngine(reply, capabilities=ENFORCING))
    schema = asked[0].json_schema
    assert schema["properties"]["scores"]["properties"]["correct"] == {"type": "integer", "minimum": 0, "maximum": 4}
    assert asked[0].temperature == 0
    (tmp_path / "b").mkdir()
    await ran(tmp_path / "b", LlmJudge(rubric=RUBRIC, structured=False), ScriptedEngine(reply, capabilities=ENFORCING))
    assert asked[1].json_schema is None


async def test_the_calls_are_recorded_as_a_verifiers_of_the_role_judge(tmp_path):
    await ran(tmp_path, LlmJudge(rubric=RUBRIC), said(4, 4))
    assert rows(tmp_path, "SELECT role, purpose FROM call ORDER BY position") == [("proposer", ""), ("judge", "verifier")]


@pytest.mark.parametrize("text", ["...", " \n!?", "\u200b\u200b", "—", "**"])
async def test_punctuation_alone_fails_unasked(tmp_path, text):
    verdict, judge, _ = await ran(tmp_path, LlmJudge(rubric=RUBRIC), said(4, 4), reply=text)
    assert (verdict[0], verdict[2], judge.calls) == ("fail", "no_answer", 0)


# Scores by probability.


def one_token(**likely):
    """A reply of one token, with the likeliest tokens by their text (`_4` for 4)."""
    top = {name.lstrip("_"): math.log(p) for name, p in likely.items()}
    return Reply(max(top, key=top.__getitem__), top_logprobs=[top])


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


# Two answers, in both orders.


def prefers(text):
    """A judge that always names the answer that contains a text."""

    def reply(call):
        first, second = call.text.split("Answer 1:\n")[1].split("Answer 2:\n")
        better = "1" if text in first else "2" if text in second else "tie"
        return json.dumps({"reasoning": f"it says {text}", "better": better})

    return reply


async def compared(path, judge, judge_reply, texts=("It is 4", "It is 5"), run=None):
    """What a comparison of candidates gives within a run."""
    found = []

    async def node(state, runtime):
        ctx = runtime.context
        made = [await ctx.add(await ctx.generate(TASK.chat(), key=f"c{i}"), key=f"a{i}") for i in range(len(texts))]
        candidates = [replace(c, text=t) for c, t in zip(made, texts, strict=True)]
        found.append(await (run or (lambda c, j, cs: j(c, *cs)))(ctx, judge, candidates))
        return {"answer": "done"}

    given = engines("x", judge_reply)
    async with session(path, engine=given["default"], engines={"judge": given["judge"]}) as open_session:
        await open_session.run(one_node("compare", node), TASK)
    return found[0], given["judge"]


async def test_the_better_one_wins_from_both_places(tmp_path):
    for n, (text, winner) in enumerate([("4", "first"), ("5", "second"), ("6", "tie")]):
        (tmp_path / str(n)).mkdir()
        found, judge = await compared(tmp_path / str(n), PairwiseJudge(), prefers(text))
        assert found.winner == winner
        assert found.preference == {"first": 1.0, "second": 0.0, "tie": 0.5}[winner]
        assert judge.calls == 2
        assert rows(tmp_path / str(n), "SELECT role, purpose FROM call WHERE role = 'judge'") == [("judge", "verifier")] * 2
        assert json.loads(json.dumps(found.to_json()))["winner"] == winner


@pytest.mark.parametrize("place", ["1", "2"])
async def test_a_judge_that_prefers_a_place_decides_nothing(tmp_path, place):
    found, _ = await compared(tmp_path, PairwiseJudge(), json.dumps({"reasoning": "", "better": place}))
    assert (found.winner, found.preference) == ("tie", 0.5)


async def test_a_judge_that_cannot_be_read_gives_no_result(tmp_path):
    found, judge = await compared(tmp_path, PairwiseJudge(), "the first one, clearly")
    assert (found.winner, found.preference, judge.calls) == (None, None, 4)
    (tmp_path / "b").mkdir()
    found, judge = await compared(tmp_path / "b", PairwiseJudge(), GenerationFailed("down", code="server_error"))
    assert (found.winner, found.opinions[0].problem) == (None, "down")


async def test_equal_and_wordless_texts_need_no_judge(tmp_path):
    cases = [(("a", "a"), "tie"), (("...", "a"), "second"), (("a", "!"), "first"), (("!", "..."), "tie")]
    for n, (texts, winner) in enumerate(cases):
        (tmp_path / str(n)).mkdir()
        found, judge = await compared(tmp_path / str(n), PairwiseJudge(), "no", texts)
        assert (found.winner, judge.calls) == (winner, 0)


async def test_preferences_by_probability_are_free_of_the_place(tmp_path):
    def reply(call):
        first = "It is 4" in call.text.split("Answer 1:\n")[1].split("Answer 2:\n")[0]
        return one_token(_1=0.9, _2=0.1) if first else one_token(_1=0.6, _2=0.4)

    found, _ = await compared(tmp_path, PairwiseJudge(by="probability"), reply)
    assert found.winner == "tie"
    assert found.preference == pytest.approx((0.9 + 0.4) / 2)


@pytest.mark.parametrize(
    "value", [5, {}, {"better": "1"}, {"reasoning": "", "better": "first"}, {"reasoning": "", "better": True}]
)
def test_json_of_another_form_is_no_preference(value):
    with pytest.raises(Unreadable):
        pair_form().of_json(value)


async def test_a_knockout_finds_the_one_that_wins_every_comparison(tmp_path):
    async def run(ctx, judge, candidates):
        return await knockout(ctx, candidates, judge)

    texts = [f"It is {n}" for n in (5, 6, 7, 4, 8, 9, 10)]
    found, judge = await compared(tmp_path, PairwiseJudge(), prefers("is 4"), texts, run)
    assert found.text == "It is 4"
    assert judge.calls == 2 * (len(texts) - 1)
    (tmp_path / "b").mkdir()
    found, _ = await compared(tmp_path / "b", PairwiseJudge(), "unreadable", texts, run)
    assert found.text == texts[0]
    (tmp_path / "c").mkdir()
    with pytest.raises(ConfigError, match="no candidates"):
        await compared(tmp_path / "c", PairwiseJudge(), "1", [], run)


async def test_a_run_that_was_cut_between_judgement_and_verdict_asks_nothing_twice(tmp_path):
    judge = ScriptedEngine(said(4, 4))
    stopped = []

    class Stops(LlmJudge):
        async def verify(self, task, candidate, ctx=None):
            verdict = await super().verify(task, candidate, ctx)
            if not stopped:
                stopped.append(ctx.run.stop.request("enough"))
                raise Cancelled("enough")
            return verdict

    graph = searching(BestOfN(1), Stops(rubric=RUBRIC))
    async with session(tmp_path, "It is 4", engines={"judge": judge}) as open_session:
        with pytest.raises(Cancelled):
            await open_session.run(graph, TASK)
        assert judge.calls == 1
    [(run_id,)] = rows(tmp_path, "SELECT id FROM run")
    assert rows(tmp_path, "SELECT count(*) FROM verdict") == [(0,)]
    async with session(tmp_path, "It is 4", engines={"judge": judge}) as open_session:
        result = await open_session.resume(run_id, graph)
    assert (result.score, judge.calls) == (1.0, 1)


def test_a_comparison_without_opinions_has_a_preference():
    assert [Comparison(winner=w).preference for w in ("first", "second", "tie", None)] == [1.0, 0.0, 0.5, None]
    assert quote("a", "b", longest=200).to_json() == {"characters": 1, "cut": False, "broken": 0}


# By name, and as the document shows.


def test_a_judge_is_made_from_its_name(tmp_path):
    made = make_verifier({"name": "llm_judge", "rubric": RUBRIC, "by": "probability", "threshold": 0.5})
    assert (made.name, made.by, made.threshold) == ("llm_judge", "probability", 0.5)
    assert make_verifier("llm_judge").rubric_for(TASK)[0] == DEFAULT
    (tmp_path / "rubric.json").write_text(json.dumps(RUBRIC))
    assert make_verifier(f"llm_judge:{tmp_path}/rubric.json").rubric_for(TASK)[0] == read_rubric(RUBRIC, where="")
    assert make_verifier({"name": "reward_model", "map": "identity"}).map == "identity"
    for wrong in ({"by": "vote"}, {"rubric": 7}, {"rubric": {}}, {"judge": "x"}):
        with pytest.raises(ConfigError):
            make_verifier({"name": "llm_judge", **wrong})


def test_the_document_does_what_it_says(tmp_path):
    text = (Path(__file__).parent.parent / "docs" / "judges.md").read_text()
    programs = dict(re.findall(r"```python\n# (\w+\.py)\n(.*?)```", text, re.S))
    assert sorted(programs) == ["judged.py", "pairs.py", "rewarded.py"]
    for name, code in programs.items():
        (tmp_path / name).write_text(code)
    for name in ("judged.py", "rewarded.py"):
        done = subprocess.run([sys.executable, name], cwd=tmp_path, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        assert f"It prints `{done.stdout.strip()}`" in text


async def test_the_documents_graph_finds_the_better_answer(tmp_path):
    text = (Path(__file__).parent.parent / "docs" / "judges.md").read_text()
    (tmp_path / "pairs.py").write_text(re.search(r"```python\n# pairs.py\n(.*?)```", text, re.S)[1])
    judge = ScriptedEngine(prefers("is 4"))
    async with session(tmp_path, ["It is 3", "It is 4", "It is 5"], engines={"judge": judge}) as open_session:
        result = await open_session.run(f"{tmp_path}/pairs.py:graph", TASK, settings={"n": 12})
    assert result.answer == "It is 4"
    assert rows(tmp_path, "SELECT count(*) FROM call WHERE purpose = 'verifier'") == [(judge.calls,)]


# Real vLLM.


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
