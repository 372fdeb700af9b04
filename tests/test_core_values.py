"""Prompts, sampling settings, tasks, verdicts: what they take, refuse, and turn into."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from burnish.core.completion import Completion, Scores, TokenCounts
from burnish.core.engine import Capabilities, require
from burnish.core.errors import BurnishError, ConfigError, EngineUnavailable, VerifierFailed
from burnish.core.prompt import ImagePart, Message, Prompt, TextPart
from burnish.core.rank import rank
from burnish.core.sampling import Sampling
from burnish.core.task import FIELDS, Task
from burnish.core.verdict import Verdict
from burnish.engine.scripted import ScriptedEngine

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)

# --- prompts ---

PARTS = st.builds(TextPart, st.text()) | st.builds(ImagePart, st.text())
MESSAGES = st.builds(
    Message, st.sampled_from(("system", "user", "assistant", "tool")), st.text() | st.lists(PARTS, max_size=3).map(tuple)
)


@given(MESSAGES)
def test_a_message_survives_json(message: Message) -> None:
    assert Message.from_json(json.loads(json.dumps(message.to_json()))) == message


def test_text_and_images_of_a_message() -> None:
    message = Message("user", (TextPart("a"), ImagePart("data:,"), TextPart("b")))
    assert message.text == "a\nb"
    assert message.has_image
    assert not Message("user", "a").has_image


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"role": "boss", "content": "x"},
        {"role": "user"},
        {"role": "user", "content": 3},
        {"role": "user", "content": [{"type": "video"}]},
        {"role": "user", "content": ["x"]},
        {"role": "user", "content": [{"type": "text", "text": 3}]},
        {"role": ["user"], "content": "x"},
    ],
)
def test_a_malformed_message_is_refused(value: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        Message.from_json(value)


def test_a_prompt_is_messages_or_ids_with_one_prefix() -> None:
    message = Message("user", "x")
    for wrong in ({}, {"messages": (message,), "token_ids": (1,)}, {"token_ids": (1,), "prefix_ids": (2,), "prefix_text": "y"}):
        with pytest.raises(ConfigError):
            Prompt(**wrong)
    assert Prompt.of("x") == Prompt.of([message]) == Prompt((message,))
    assert Prompt.of(Prompt(token_ids=(1,))).to_json() == {"token_ids": [1]}
    assert Prompt((message,), prefix_ids=(4,)).to_json()["prefix_ids"] == [4]


# --- sampling ---


@pytest.mark.parametrize(
    "changes",
    [
        {"max_tokens": 0},
        {"temperature": -0.1},
        {"temperature": math.nan},
        {"top_p": 0.0},
        {"top_p": 1.1},
        {"top_k": 0},
        {"logprobs": -1},
        {"regex": "a", "choice": ["a"]},
        {"warmth": 1},
    ],
)
def test_settings_out_of_range_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        Sampling().but(**changes)


def test_a_change_leaves_the_rest_and_the_original() -> None:
    base = Sampling(temperature=0.0, stop=("a",))
    changed = base.but(stop=["b", "c"], seed=0)
    assert (changed.temperature, changed.stop, changed.seed) == (0.0, ("b", "c"), 0)
    assert base.stop == ("a",)
    assert hash(changed) != hash(base)


def test_settings_as_json_tell_different_settings_apart() -> None:
    one = Sampling(seed=0, stop=("a",), logprobs=0)
    assert one.to_json() == {"max_tokens": 512, "temperature": 0.7, "seed": 0, "stop": ["a"], "logprobs": 0}
    assert Sampling().but(**one.to_json()) == one
    assert Sampling().to_json() == {"max_tokens": 512, "temperature": 0.7}


# --- tasks ---

TASKS = st.fixed_dictionaries(
    {"prompt": st.text(min_size=1).filter(str.strip)},
    optional={
        "id": st.text(min_size=1),
        "messages": st.lists(MESSAGES.map(Message.to_json), max_size=2),
        "reference": JSON.filter(bool),
        "context": st.dictionaries(st.text(), JSON, max_size=2),
        "verifier": st.text(min_size=1) | st.fixed_dictionaries({"name": st.text()}),
        "grader": st.text(min_size=1),
        "extract": st.sampled_from(("last_number", "words")),
        "sampling": st.dictionaries(st.text(), JSON, max_size=2),
        "metadata": st.dictionaries(st.text(), JSON, max_size=2),
    },
)


@given(TASKS)
def test_a_task_survives_json(value: dict[str, Any]) -> None:
    task = Task.from_json(value)
    assert Task.from_json(json.loads(json.dumps(task.to_json()))) == task
    for name in value.keys() - {"messages"}:
        assert getattr(task, name) == value[name]


@pytest.mark.parametrize("reference", ["", {}, [], 0, False])
def test_an_empty_reference_is_not_lost(reference: Any) -> None:
    task = Task(prompt="x", reference=reference)
    assert Task.from_json(json.loads(json.dumps(task.to_json()))).reference == reference


@given(st.dictionaries(st.sampled_from(FIELDS) | st.text(max_size=5), JSON))
def test_a_rubbish_task_is_a_config_error_or_a_task(value: dict[str, Any]) -> None:
    try:
        task = Task.from_json(value)
    except ConfigError:
        return
    assert task.prompt == value["prompt"]
    assert value.keys() <= set(FIELDS)


@pytest.mark.parametrize(
    ("value", "named"),
    [
        ({}, "prompt"),
        ({"prompt": "  "}, "prompt"),
        ({"prompt": "x", "promt": "y"}, "promt"),
        ({"prompt": "x", "context": []}, "context"),
        ({"prompt": "x", "verifier": 3}, "verifier"),
        ({"prompt": "x", "messages": {}}, "messages"),
        ({"prompt": "x", "messages": ["y"]}, "messages"),
        ({"prompt": "x", "id": True}, "id"),
        ({"prompt": "x", "extract": "soul"}, "soul"),
        ({"prompt": "x", "extract": 3}, "extract"),
    ],
)
def test_the_wrong_field_is_named(value: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        Task.from_json(value)


def test_a_task_without_an_id_gets_one_from_its_content() -> None:
    assert Task(prompt="x").id == Task(prompt="x").id != Task(prompt="x", reference=1).id
    assert Task.from_json({"prompt": "x", "id": 7}).id == "7"
    assert Task.of(Task(prompt="x")) == Task.of("x") == Task.of({"prompt": "x"})


def test_the_dialogue_of_a_task() -> None:
    task = Task(prompt="q", messages=(Message("user", "a"), Message("assistant", "b")))
    assert [m.text for m in task.chat("s").messages or ()] == ["s", "a", "b", "q"]
    assert [m.role for m in task.chat().messages or ()] == ["user", "assistant", "user"]


# --- verdicts ---


@pytest.mark.parametrize(
    ("value", "outcome", "score"),
    [(True, "pass", 1.0), (False, "fail", 0.0), (1, "pass", 1.0), (0, "fail", 0.0), (0.25, "fail", 0.25)],
)
def test_what_a_users_function_returns_becomes_a_verdict(value: object, outcome: str, score: float) -> None:
    verdict = Verdict.of(value)
    assert (verdict.outcome, verdict.score) == (outcome, score)
    assert Verdict.of(verdict) is verdict


@given(st.floats(allow_nan=True) | st.integers())
def test_a_score_outside_of_its_range_is_never_a_verdict(score: float) -> None:
    if 0 <= score <= 1:
        assert Verdict.of(score).score == score
        return
    with pytest.raises(VerifierFailed):
        Verdict.of(score)
    with pytest.raises(VerifierFailed):
        Verdict.failed(score=score)


@pytest.mark.parametrize("value", [None, "pass", [1], {"outcome": "pass"}, object()])
def test_rubbish_is_no_verdict(value: object) -> None:
    with pytest.raises(VerifierFailed) as error:
        Verdict.of(value)
    assert error.value.code == "bad_return"


def test_an_abstention_has_no_score() -> None:
    with pytest.raises(VerifierFailed):
        Verdict(outcome="abstain", score=0.5)
    with pytest.raises(VerifierFailed):
        Verdict(outcome="maybe")  # pyright: ignore[reportArgumentType]
    assert Verdict.abstain("timeout").score is None


SCORES = st.none() | st.floats(0, 1)


@given(SCORES, SCORES)
def test_an_abstention_never_ranks_above_a_pass_nor_a_plain_failure_above_an_abstention(a: float | None, b: float | None) -> None:
    assert rank("pass", a) > rank("fail", b)
    assert rank("pass", a) > rank("abstain", None) > rank("fail", 0.0) == rank("fail", None)
    if a is not None and b is not None and a > b:
        assert rank("pass", a) > rank("pass", b)
        assert rank("fail", a) > rank("fail", b)


# --- completions, capabilities, errors ---


def test_sums_over_tokens() -> None:
    assert Completion("x", logprobs=(-1.0, -2.0)).logprob == -3.0
    assert Completion("x").logprob is None
    assert (Scores((-1.0, -3.0)).mean, Scores(()).mean) == (-2.0, 0.0)
    total = TokenCounts(1, 2, 3, 4) + TokenCounts(10, 20, 30, 40)
    assert (total, total.total) == (TokenCounts(11, 22, 33, 44), 44)


def test_what_an_engine_lacks_is_named_with_those_that_can() -> None:
    engine = ScriptedEngine("x", capabilities=Capabilities(seed=True))
    require(engine, ["seed"], why="this")
    others = {"able": Capabilities(regex=True, seed=True), "unable": Capabilities(seed=True)}
    with pytest.raises(EngineUnavailable, match="this needs regex") as error:
        require(engine, ["regex", "seed"], why="this", others=others)
    assert error.value.hint == "engines that can: able"


def test_an_error_is_one_line_with_its_mend() -> None:
    assert str(BurnishError("what", hint="mend")) == "what (mend)"
    assert str(BurnishError("what")) == "what"

    def tree(cls: type[BurnishError]) -> list[type[BurnishError]]:
        return [cls, *(c for child in cls.__subclasses__() for c in tree(child))]

    own = [c for c in tree(BurnishError) if c.__module__ == BurnishError.__module__]
    codes = [c.default_code for c in own]
    assert len(set(codes)) == len(codes) >= 11
