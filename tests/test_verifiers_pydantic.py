"""A pydantic model as the verifier: its errors as feedback, its code where it can be killed."""

import json
import time
from pathlib import Path

import pytest

from burnish.core.candidate import Candidate
from burnish.core.errors import ConfigError
from burnish.core.task import Task
from burnish.core.verify import judge
from burnish.verifiers import PydanticModel, make_verifier

MODELS = str(Path(__file__).with_name("verifier_models.py"))


async def ask(text, model="Person", **rest):
    return await judge(PydanticModel(model=f"{MODELS}:{model}", **rest), Task(prompt="p"), Candidate.of(text))


@pytest.mark.parametrize(
    ("text", "reason", "feedback", "kept"),
    [
        ('{"name": "Ann Bo", "age": 4}', "", "", None),
        ('Sure: {"name": "Ann Bo", "age": 4, "address": {"city": "Rome", "zip": "00100"}} ok', "", "", None),
        (
            '{"name": "Ann Bo", "age": "x"}',
            "schema",
            "at /age: Input should be a valid integer, unable to parse string as an integer",
            '{"name": "Ann Bo",',
        ),
        ('{"name": "Ann Bo", "age": 200}', "schema", "at /age: Input should be less than or equal to 150", '{"name": "Ann Bo",'),
        ('{"name": "Ann", "age": 4}', "schema", "at /name: Value error, give first and last name", "{"),
        (
            '{"name": "Ann Bo", "age": 4, "kind": "admin"}',
            "schema",
            "at /: Value error, an admin is at least 18",
            '{"name": "Ann Bo", "age": 4, "kind": "admin"',
        ),
        ('{"name": "Ann Bo"}', "schema", "at /age: Field required", '{"name": "Ann Bo"'),
        (
            '{"name": "Ann Bo", "age": 4, "address": {"city": "Rome", "zip": "1"}}',
            "schema",
            r"at /address/zip: String should match pattern '^\d{5}$'",
            '{"name": "Ann Bo", "age": 4,',
        ),
        (
            '{"name": "Ann Bo", "extra": 1, "age": 4}',
            "schema",
            "at /extra: Extra inputs are not permitted",
            '{"name": "Ann Bo",',
        ),
        ('{"name": "Ann Bo", "age": 4', "not_json", "the JSON is not valid", '{"name": "Ann Bo",'),
        ("[1]", "schema", "at /: Input should be an object", None),
        ("none", "not_json", "there is no JSON object or array in the text", None),
    ],
)
async def test_errors_are_feedback(text, reason, feedback, kept):
    found = await ask(text)
    assert (found.outcome, found.reason) == ("fail" if reason else "pass", reason)
    assert found.score == (0 if reason else 1)
    assert found.feedback.startswith(feedback)
    assert found.valid_prefix == (None if kept is None else len(kept))


async def test_at_most_five_errors_are_told():
    found = await ask(json.dumps([{} for _ in range(10)]), "People")
    assert found.feedback.count("at /") == 5
    assert found.feedback.endswith("and 15 more errors")


async def test_whatever_pydantic_validates_is_a_model():
    assert (await ask('{"x": 1, "y": 2}', "Point")).outcome == "pass"
    assert (await ask('{"x": 1}', "Point")).feedback == "at /y: Field required"
    assert (await ask('[{"name": "Ann Bo", "age": 4}]', "People")).outcome == "pass"


async def test_the_whole_text():
    assert (await ask(' {"name": "Ann Bo", "age": 4}\n', whole=True)).outcome == "pass"
    assert (await ask('so {"name": "Ann Bo", "age": 4}', whole=True)).reason == "not_json"


@pytest.mark.parametrize(
    ("model", "text", "reason"),
    [
        ("Sleeper", '{"name": "a"}', "timeout"),
        ("Backtracker", json.dumps({"name": "a" * 60 + "b"}), "timeout"),
        ("Breaker", '{"name": "a"}', "verifier_error"),
        ("Dier", '{"name": "a"}', "verifier_crashed"),
    ],
)
async def test_a_validator_that_hangs_or_breaks_abstains(model, text, reason):
    began = time.monotonic()
    found = await ask(text, model, timeout=1.0)
    assert (found.outcome, found.score, found.reason) == ("abstain", None, reason)
    assert time.monotonic() - began < 20
    assert (await ask('{"name": "Ann Bo", "age": 4}')).outcome == "pass"


@pytest.mark.parametrize(
    "text",
    ["[" * 200_000, '{"a":' * 100_000, "{" * 10_000, "[" * 900 + "]" * 900, '{"name": "\\ud800 x", "age": 1}', '{"age": 1e9999}'],
)
async def test_rubbish_fails(text):
    found = await ask(text)
    assert found.outcome == "fail"
    assert len(found.feedback) < 2000


def test_a_model_is_checked_at_once():
    for model, what in (("nothing", "is no model"), ("absent", "has no absent")):
        with pytest.raises(ConfigError, match=what):
            PydanticModel(model=f"{MODELS}:{model}")
    with pytest.raises(ConfigError, match="timeout"):
        PydanticModel(model=f"{MODELS}:Person", timeout=0)
    with pytest.raises(ConfigError, match="names no model"):
        PydanticModel(model="person.json")


def test_its_names():
    made = make_verifier(f"pydantic:{MODELS}:Person")
    assert (made.name, made.oracle) == ("pydantic_model", False)
    assert made == PydanticModel(model=f"{MODELS}:Person")
    assert make_verifier({"name": "pydantic_model", "model": f"{MODELS}:Person", "whole": True}).whole
    assert made.version != make_verifier(f"pydantic:{MODELS}:Point").version
    assert made.version != make_verifier(f"pydantic:{MODELS}:Address").version


async def test_a_class_is_its_own_name():
    from burnish.core.candidate import Candidate as SomeDataclass

    found = await judge(
        PydanticModel(model=SomeDataclass), Task(prompt="p"), Candidate.of('{"id": "1", "position": "", "text": 3}')
    )
    assert (found.outcome, found.feedback) == ("fail", "at /text: Input should be a valid string")

    class Local(SomeDataclass):
        pass

    with pytest.raises(ConfigError, match=r"cannot find Local.*top of a module"):
        PydanticModel(model=Local)
