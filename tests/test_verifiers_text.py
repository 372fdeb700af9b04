"""Verifiers that read text: exact, numeric, regex, constraints, json_schema."""

import json
import re
import time

import pytest

from burnish.core.candidate import Candidate
from burnish.core.errors import ConfigError
from burnish.core.task import Task
from burnish.core.verify import judge
from burnish.verifiers import Constraints, Exact, JsonSchema, Numeric, Regex


async def ask(verifier, text, reference=None, **task):
    return await judge(verifier, Task(prompt="p", reference=reference, **task), Candidate.of(text))


@pytest.mark.parametrize(
    ("extract", "reference", "text", "outcome"),
    [
        ("", "Paris", " paris. ", "pass"),
        ("", "Paris", "Paris, France", "fail"),
        ("", ["Paris", "the capital"], "The  Capital!", "pass"),
        ("last_number", "1,000", "It is 1000.0", "pass"),
        ("last_number", 1000, "so 10 * 100 = 1000", "pass"),
        ("last_number", "1000", "none", "fail"),
        ("boxed", "42", r"\boxed{42.0}", "pass"),
        ("boxed", "42", "42", "fail"),
        ("json_value", {"a": 1, "b": [2]}, 'see {"b": [2], "a": 1}', "pass"),
        ("json_value", [1, 2], "[1,2]", "pass"),
        ("json_value", [1, 2], "[2,1]", "fail"),
        ("exact_text", "a B", "a b", "fail"),
        ("", 0, "0", "pass"),
        ("", False, "False", "pass"),
    ],
)
async def test_exact(extract, reference, text, outcome):
    found = await ask(Exact(extract=extract), text, reference)
    assert found.outcome == outcome
    assert found.score == (outcome == "pass")


async def test_exact_takes_the_tasks_extractor():
    assert (await ask(Exact(), "x = 7", "7", extract="last_number")).outcome == "pass"
    assert (await ask(Exact(extract="words"), "x = 7", "7", extract="last_number")).outcome == "fail"


@pytest.mark.parametrize(
    ("config", "text", "reference", "outcome"),
    [
        ({}, "about 3.14", "3.14", "pass"),
        ({}, "3.1400000001", 3.14, "pass"),
        ({}, "3.15", 3.14, "fail"),
        ({"abs_tol": 0.02}, "3.15", 3.14, "pass"),
        ({"rel_tol": 0.1}, "-1090", "-1,000", "pass"),
        ({"rel_tol": 0.1}, "1101", 1000, "fail"),
        ({}, r"first 5, then \boxed{7}, or 8", 7, "pass"),
        ({"extract": "last_number"}, r"\boxed{7}, or 8", 8, "pass"),
        ({"expected": 0}, "0.0", None, "pass"),
        ({"expected": 5}, "6", 6, "fail"),
        ({}, "no number", 6, "fail"),
        ({}, "1e3", 1000, "pass"),
        ({"abs_tol": 0, "rel_tol": 0}, "0.1", "0.1", "pass"),
    ],
)
async def test_numeric(config, text, reference, outcome):
    assert (await ask(Numeric(**config), text, reference)).outcome == outcome


@pytest.mark.parametrize("text", ["9" * 100_000, "1e999999", "-" * 10_000, "1," * 10_000, "nan", "inf", "\\boxed{" * 1000, "٣"])
async def test_numeric_takes_rubbish(text):
    assert (await ask(Numeric(), text, 3)).outcome in ("fail", "pass")


@pytest.mark.parametrize("verifier", [Exact(), Numeric()])
async def test_no_reference_no_verdict(verifier):
    found = await ask(verifier, "7")
    assert (found.outcome, found.reason) == ("abstain", "no_reference")
    with pytest.raises(ConfigError, match="has none"):
        verifier.check(Task(prompt="p"))
    verifier.check(Task(prompt="p", reference=7))


def test_numeric_refuses_what_is_no_number():
    with pytest.raises(ConfigError, match="is no number"):
        Numeric().check(Task(prompt="p", reference="none"))
    for config in ({"abs_tol": -1}, {"rel_tol": float("nan")}, {"expected": float("inf")}):
        with pytest.raises(ConfigError):
            Numeric(**config)


async def test_the_reference_is_in_no_feedback():
    secret = "73519"
    for verifier in (Exact(), Exact(extract="last_number"), Numeric(), Numeric(expected=73519.0)):
        for text in ("nothing", "12", "73518", "[]", r"\boxed{5}"):
            found = await ask(verifier, text, secret)
            assert found.outcome == "fail"
            assert "735" not in found.feedback
    assert "735" not in (await ask(Regex(pattern="^73519$"), "1")).feedback


async def test_regex():
    assert (await ask(Regex(pattern=r"\d{4}"), "in 1999")).evidence == {"span": [3, 7]}
    assert (await ask(Regex(pattern=r"\d{4}", mode="fullmatch"), " 1999\n")).outcome == "pass"
    assert (await ask(Regex(pattern=r"\d{4}", mode="fullmatch"), "in 1999")).outcome == "fail"
    assert (await ask(Regex(pattern="^b", flags="mi"), "a\nB")).outcome == "pass"
    found = await ask(Regex(pattern="x", message="write an x"), "y")
    assert (found.outcome, found.reason, found.feedback) == ("fail", "no_match", "write an x")


BACKTRACKING = [
    (r"(a+)+$", "a" * 60 + "b"),
    (r"^(a|a)*$", "a" * 60 + "b"),
    (r"(.*)*x\1y", "ab" * 2000),
    (r"^(\w+\s?)*$", "word " * 30 + "!"),
]


@pytest.mark.parametrize(("pattern", "text"), BACKTRACKING)
async def test_patterns_that_backtrack_for_ever_abstain(pattern, text):
    began = time.monotonic()
    constraints = Constraints(checks=[{"matches": pattern}], timeout=0.2)
    schema = JsonSchema(schema={"type": "array", "items": {"type": "string", "pattern": pattern}}, timeout=0.2)
    for verifier, answer in ((Regex(pattern=pattern, timeout=0.2), text), (constraints, text), (schema, json.dumps([text]))):
        found = await ask(verifier, answer)
        assert (found.outcome, found.reason) == ("abstain", "timeout")
    assert time.monotonic() - began < 20
    assert (await ask(Regex(pattern="a"), "a")).outcome == "pass"


@pytest.mark.parametrize(
    "config", [{"pattern": "("}, {"pattern": ""}, {"pattern": "a", "flags": "q"}, {"pattern": "a", "timeout": 0}]
)
def test_bad_patterns_are_refused(config):
    with pytest.raises(ConfigError):
        Regex(**config)


@pytest.mark.parametrize(
    ("check", "good", "bad", "feedback"),
    [
        ({"contains": "fox"}, "A Fox!", "A foxy one", 'the word "fox" must appear'),
        ({"contains": "new york"}, "in New York.", "new, york", 'the word "new york" must appear'),
        ({"contains": "c++"}, "I like C++.", "I like C", 'the word "c++" must appear'),
        ({"excludes": "fox"}, "foxy", "a fox", 'the word "fox" must not appear'),
        ({"one_of": ["cat", "dog"]}, "the cat", "cat and dog", "mention exactly one of: cat, dog"),
        ({"words": 3}, "it's well-known, Übermut", "a b", "use exactly 3 words"),
        ({"words": {"max": 2}}, "a b", "a b c", "use at most 2 words"),
        ({"words": {"min": 2}}, "a b", "a", "use at least 2 words"),
        ({"words": {"max": 1}}, "a", "a b", "use at most one word"),
        ({"sentences": 2}, "One. Two!", "One.", "write exactly 2 sentences"),
        ({"lines": {"max": 1}}, "one\n\n", "one\ntwo", "write at most one line"),
        ({"chars": {"max": 3}}, " abc ", "abcd", "use at most 3 characters"),
        ({"starts_with": "Dear"}, " Dear A", "dear A", 'the text must start with "Dear"'),
        ({"ends_with": "."}, "a. ", "a", 'the text must end with "."'),
        ({"matches": r"^\d+$"}, "12", "x", r"the text must match ^\d+$"),
        ({"json_keys": ["a"]}, 'so {"a": 1}', '{"b": {"a": 1}}', 'the JSON object must have the key "a"'),
        ({"json_keys": ["a"]}, '{"a": null}', "[1]", 'the JSON object must have the key "a"'),
        ({"items": {"count": 2}}, "a, b\nmore, and, more", "a", 'give exactly 2 items separated by ","'),
        ({"items": {"distinct": True}}, "a, b", "a, A.", "no item may repeat"),
        ({"items": {"starts_with": "B"}}, "bee, Bat", "bee, ant", 'every item must start with "B"'),
        ({"items": {"matches": "[a-z]+"}}, "Bee, ant.", "a bee, ant", "every item must match [a-z]+"),
        ({"items": {"separator": "\n", "count": {"min": 2}}}, "1. a\n\n- b", "1. a", "give at least 2 items one on a line"),
        ({"words": 1, "message": "be short"}, "a", "a b", "be short"),
    ],
)
async def test_constraints(check, good, bad, feedback):
    assert (await ask(Constraints(checks=[check]), good)).outcome == "pass"
    found = await ask(Constraints(checks=[check]), bad)
    assert (found.outcome, found.score, found.feedback) == ("fail", 0, feedback)


async def test_the_score_is_the_share_satisfied():
    checks = [{"contains": ["fox", "hen"]}, {"words": {"min": 2, "max": 4}}]
    found = await ask(Constraints(checks=checks), "the fox ran on and on")
    assert found.score == 0.5
    assert found.feedback == 'the word "hen" must appear; use at most 4 words'
    assert found.evidence == {"violated": ['the word "hen" must appear', "use at most 4 words"]}


@pytest.mark.parametrize(
    "checks",
    [
        [],
        ["contains"],
        [{}],
        [{"contains": "a", "words": 3}],
        [{"contain": "a"}],
        [{"contains": ""}],
        [{"contains": [3]}],
        [{"words": True}],
        [{"words": -1}],
        [{"words": {"maximum": 3}}],
        [{"words": {}}],
        [{"matches": "("}],
        [{"one_of": []}],
        [{"items": {"counts": 3}}],
        [{"items": {"distinct": "yes"}}],
        [{"items": 3}],
        [{"words": 3, "message": 3}],
    ],
)
def test_malformed_checks_are_refused(checks):
    with pytest.raises(ConfigError, match=r"constraints|regular expression"):
        Constraints(checks=checks)


PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}, "tags": {"type": "array", "maxItems": 2}},
    "required": ["name", "age"],
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    ("text", "reason", "feedback", "kept"),
    [
        ('{"name": "A", "age": 4}', "", "", None),
        ('Sure: {"name": "A", "age": 4} ok', "", "", None),
        ('{"name": "A", "age": "4"}', "schema", "at /age: '4' is not of type 'integer'", '{"name": "A",'),
        ('{"name": "A", "age": 4, "x": 1}', "schema", "at /: Additional properties are not allowed", '{"name": "A", "age": 4,'),
        ('{"name": "A"}', "schema", "at /: 'age' is a required property", '{"name": "A"'),
        ('Ok {"name": "A", "age": 4, "tags": [1, 2', "not_json", "the JSON is not valid", 'Ok {"name": "A", "age": 4,'),
        ('{"name": "A", "age": 4', "not_json", "the JSON is not valid", '{"name": "A",'),
        ('{"name": 3, "age": 4}', "schema", "at /name: 3 is not of type 'string'", "{"),
        ("{'name': 3}", "not_json", "the JSON is not valid", "{"),
        ('{"name": "A", "age": NaN}', "not_json", "NaN is no JSON number", '{"name": "A",'),
        ("none", "not_json", "there is no JSON object or array", None),
        ("[1]", "schema", "at /: [1] is not of type 'object'", None),
    ],
)
async def test_json_schema(text, reason, feedback, kept):
    found = await ask(JsonSchema(schema=PERSON), text)
    assert (found.outcome, found.reason) == ("fail" if reason else "pass", reason)
    assert feedback in found.feedback
    assert found.valid_prefix == (None if kept is None else len(kept))


async def test_json_schema_of_the_whole_text():
    whole = JsonSchema(schema={"type": "integer"}, whole=True)
    assert (await ask(whole, " 3 ")).outcome == "pass"
    assert (await ask(whole, "3 or 4")).reason == "not_json"
    assert (await ask(whole, "x")).reason == "not_json"


@pytest.mark.parametrize(
    "text", ["[" * 200_000, '{"a":' * 100_000, "{" * 10_000, "[" * 900 + "]" * 900, '"' * 1000, '{"a": 1e9999}']
)
async def test_json_bombs(text):
    recursive = {"$ref": "#/$defs/x", "$defs": {"x": {"type": "array", "items": {"$ref": "#/$defs/x"}}}}
    for verifier in (JsonSchema(schema=recursive), JsonSchema(schema=PERSON), Constraints(checks=[{"json_keys": ["a"]}])):
        found = await ask(verifier, text)
        assert found.outcome in ("fail", "pass", "abstain")
        assert found.outcome != "pass" or text[:6] in ("[" * 6, '{"a": ')
        assert len(found.feedback) < 5000


async def test_many_errors_are_counted_not_listed():
    found = await ask(JsonSchema(schema={"type": "array", "items": {"type": "string"}}), json.dumps(list(range(100))))
    assert "and 90 more errors" in found.feedback


async def test_references_are_never_fetched():
    verifier = JsonSchema(schema={"$ref": "http://127.0.0.1:1/schema.json"})
    found = await ask(verifier, "{}")
    assert (found.outcome, found.reason) == ("abstain", "verifier_error")


@pytest.mark.parametrize(
    ("schema", "what"),
    [
        ({}, "empty"),
        ({"title": "x", "$schema": "https://json-schema.org/draft/2020-12/schema"}, "empty"),
        ({"type": "nothing"}, "json_schema"),
        ({"enum": [{1}]}, "no JSON"),
        ("missing.json", "cannot read"),
    ],
)
def test_bad_schemas_are_refused(schema, what):
    with pytest.raises(ConfigError, match=what):
        JsonSchema(schema=schema)


async def test_a_schema_in_a_file(tmp_path):
    file = tmp_path / "s.json"
    file.write_text(json.dumps(PERSON))
    assert (await ask(JsonSchema(schema=str(file)), '{"name": "A", "age": 4}')).outcome == "pass"
    for text in ("{", "3", "[" * 100_000):
        file.write_text(text)
        with pytest.raises(ConfigError, match=re.escape(str(file))):
            JsonSchema(schema=str(file))


async def test_cut_answers_are_not_judged_unless_asked():
    cut = Candidate(id="", position="", text="the fox", finish_reason="length")
    for judges, outcome in ((False, "abstain"), (True, "pass")):
        verifier = Constraints(checks=[{"contains": "fox"}], judges_truncated=judges)
        assert (await judge(verifier, Task(prompt="p"), cut)).outcome == outcome
