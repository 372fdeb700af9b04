"""The pointwise judge: rubrics, what may be replied, what is recorded; with a store on disk and scripted engines."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from burnish import (
    Candidate,
    ConfigError,
    GenerationFailed,
    ScriptedEngine,
    Task,
    make_verifier,
)
from burnish.agents.judge import LlmJudge, scores_form
from burnish.agents.rubric import DEFAULT, read_rubric
from burnish.agents.structured import Unreadable
from burnish.core.verify import judge as judged
from burnish.engine.replies import Reply
from tests.helpers import rows
from tests.rubric_kit import ENFORCING, RUBRIC, TASK, ran, said

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
