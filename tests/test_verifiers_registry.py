"""Verifiers by name, and verifiers made of verifiers."""

import inspect
from pathlib import Path

import pytest

from burnish.core.candidate import Candidate
from burnish.core.errors import BudgetExhausted, ConfigError
from burnish.core.task import Task
from burnish.core.verdict import Verdict, Verifier
from burnish.core.verify import judge
from burnish.verifiers import VERIFIERS, AllOf, Exact, FirstOf, Numeric, PythonFunction, Regex, check_task, make_verifier

FUNCTIONS = str(Path(__file__).with_name("verifier_functions.py"))
FULL = [
    "exact",
    "exact:last_number",
    "numeric",
    "numeric:42",
    "regex:^a:b$",
    f"python:{FUNCTIONS}:says_yes",
    f"{FUNCTIONS}:says_yes",
    f"{FUNCTIONS}:Judge",
    f"{FUNCTIONS}:a_judge",
    "sql_execution",
    "sql_execution:my.db",
    "sql_execution:postgresql://localhost/shop",
    "sqlite_query",
    "sqlite_query:my.db",
    "math_equal",
    "math_equal:last_number",
    "llm_judge",
    "reward_model",
    '{"name": "regex", "pattern": "a", "flags": "i"}',
    {"name": "constraints", "checks": [{"contains": "fox"}]},
    {"name": "json_schema", "schema": {"type": "object"}, "judges_truncated": True},
    {"name": "sqlite_query", "oracle": False, "columns": ["a"], "hidden": [{"schema": "CREATE TABLE x(a)"}], "digits": None},
    {"name": "python_function", "function": f"{FUNCTIONS}:says_yes", "timeout": None},
    {"name": "all_of", "verifiers": ["exact", {"name": "regex", "pattern": "a"}], "score": "mean"},
    {"name": "first_of", "verifiers": ["numeric", {"name": "all_of", "verifiers": ["exact"]}]},
    {"name": "first_of", "verifiers": ["exact", "llm_judge"], "unsure": [0.2, 0.8]},
    {"name": "vote", "verifiers": ["exact", "numeric", {"name": "noisy", "verifier": "exact", "flip": 0.1}], "quorum": 2},
    {"name": "mean_of", "verifiers": ["exact", "numeric"], "threshold": 0.7, "quorum": 1},
    {"name": "min_of", "verifiers": ["exact", "numeric"]},
]


@pytest.mark.parametrize("spec", FULL, ids=str)
def test_every_form_makes_a_verifier(spec):
    made = make_verifier(spec)
    assert isinstance(made, Verifier)
    assert made.name
    assert made.version
    assert isinstance(made.oracle, bool)
    assert isinstance(made.judges_truncated, bool)
    assert inspect.iscoroutinefunction(made.verify)
    assert make_verifier(made) is made


def test_arguments_arrive():
    assert make_verifier("regex:^a:b$") == Regex(pattern="^a:b$")
    assert make_verifier("numeric:42") == Numeric(expected=42)
    assert make_verifier('{"name": "exact", "extract": "boxed"}') == Exact(extract="boxed")
    assert make_verifier(f"{FUNCTIONS}:says_yes") == PythonFunction(function=f"{FUNCTIONS}:says_yes", timeout=30)
    assert make_verifier(f"{FUNCTIONS}:a_judge").version == "3"
    assert make_verifier(lambda task, text: True).timeout is None


def test_each_has_a_line():
    assert all(line and len(line) < 90 for line in VERIFIERS.values())


@pytest.mark.parametrize(
    ("spec", "what"),
    [
        ("exakt", "no verifier is called 'exakt'.*one of: all_of, answer_match"),
        ("", "no verifier is called"),
        ("\x1b[31m", r"no verifier is called '\\\\x1b"),
        ("exact:", "cannot be written"),
        ("constraints:x", "cannot be written"),
        ("exact:nope", "no extractor is called 'nope'"),
        ("numeric:abc", "the argument expected is 'abc'"),
        ("numeric:nan", "the argument expected"),
        ("regex", "regex needs the argument pattern"),
        ("constraints", "needs the argument checks"),
        ("{", "is no JSON"),
        ("{}", "has no name"),
        ({"name": 3}, "has no name"),
        ({"name": "exact", "extrakt": "words"}, "exact has no argument extrakt"),
        ({"name": "numeric", "abs_tol": "far"}, "the argument abs_tol is 'far'"),
        ({"name": "regex", "pattern": ["a"]}, "the argument pattern"),
        ({"name": "regex", "pattern": "a", "mode": "find"}, "the argument mode"),
        ({"name": "constraints", "checks": "contains"}, "the argument checks"),
        ({"name": "json_schema", "schema": {}}, "empty"),
        ({"name": "all_of", "verifiers": []}, "no verifiers in it"),
        ({"name": "all_of", "verifiers": "exact"}, "is no list"),
        ({"name": "all_of"}, "needs the argument verifiers|no verifiers in it"),
        ({"name": "first_of", "verifiers": ["nope"]}, "no verifier is called 'nope'"),
        ({"name": "sqlite_query", "hidden": [{}]}, "names no database"),
        ({"name": "python_function"}, "needs the argument function"),
        ({"name": "python_function", "function": f"{FUNCTIONS}:Judge", "timeout": 3}, "takes no timeout"),
        (f"{FUNCTIONS}:Liar", "is no verifier"),
        (3, "a int is no verifier"),
        (None, "is no verifier"),
    ],
)
def test_what_is_wrong_is_named(spec, what):
    with pytest.raises(ConfigError, match=what):
        make_verifier(spec)


class Says:
    version = "1"
    oracle = False

    def __init__(self, name, verdict, judges_truncated=True):
        self.name, self.verdict, self.judges_truncated = name, verdict, judges_truncated
        self.asked = 0

    async def verify(self, task, candidate, ctx=None):
        self.asked += 1
        if isinstance(self.verdict, Exception):
            raise self.verdict
        return self.verdict


PASS = Says("p", Verdict.passed(0.8))
UNGRADED = Says("u", Verdict.passed(None))
FAIL = Says("f", Verdict.failed("bad", score=0.4, reason="mismatch", valid_prefix=7))
WORSE = Says("w", Verdict.failed("worse", score=0.0, valid_prefix=3))
UNSURE = Says("a", Verdict.abstain("timeout", "too slow"))
BROKEN = Says("b", RuntimeError("broken"))
RUBBISH = Says("r", "pass")


async def ask(verifier, text="x"):
    return await judge(verifier, Task(prompt="p"), Candidate.of(text))


@pytest.mark.parametrize(
    ("parts", "outcome", "least", "mean"),
    [
        ([PASS, PASS], "pass", 0.8, 0.8),
        ([PASS, FAIL], "fail", 0.4, 0.6),
        ([PASS, UNSURE], "abstain", None, None),
        ([UNSURE, FAIL], "fail", 0.4, 0.4),
        ([FAIL, WORSE], "fail", 0.0, 0.2),
        ([PASS, UNGRADED], "pass", None, None),
        ([PASS, BROKEN], "abstain", None, None),
        ([RUBBISH, PASS], "abstain", None, None),
    ],
)
async def test_all_of(parts, outcome, least, mean):
    found = await ask(AllOf(verifiers=parts))
    assert (found.outcome, found.score) == (outcome, least)
    other = await ask(AllOf(verifiers=parts, score="mean"))
    assert (other.outcome, other.score) == (outcome, None if mean is None else pytest.approx(mean))
    assert [p["verifier"] for p in found.evidence["parts"]] == [p.name for p in parts]


async def test_all_of_says_what_failed():
    found = await ask(AllOf(verifiers=[FAIL, UNSURE, WORSE]))
    assert (found.feedback, found.reason, found.valid_prefix) == ("bad; worse", "mismatch", 3)
    unsure = await ask(AllOf(verifiers=[PASS, UNSURE, BROKEN]))
    assert (unsure.reason, unsure.feedback) == ("timeout", "too slow; the verifier could not judge")


async def test_first_of_asks_on_until_one_decides():
    last = Says("last", Verdict.passed())
    found = await ask(FirstOf(verifiers=[BROKEN, UNSURE, FAIL, last]))
    assert (found.outcome, found.score, found.feedback, found.reason) == ("fail", 0.4, "bad", "mismatch")
    assert [p["outcome"] for p in found.evidence["parts"]] == ["abstain", "abstain", "fail"]
    assert last.asked == 0
    nobody = await ask(FirstOf(verifiers=[BROKEN, UNSURE]))
    assert (nobody.outcome, nobody.reason) == ("abstain", "timeout")


async def test_what_ends_a_run_passes_through():
    spent = BudgetExhausted("spent", limit="calls")
    for kind in (AllOf, FirstOf):
        with pytest.raises(BudgetExhausted):
            await ask(kind(verifiers=[UNSURE, Says("s", spent)]))


async def test_parts_decide_on_cut_answers_each():
    cut = Candidate(id="", position="", text="x", finish_reason="length")
    strict = Says("strict", Verdict.failed("no"), judges_truncated=False)
    assert AllOf(verifiers=[strict]).judges_truncated is False
    found = await judge(FirstOf(verifiers=[strict, PASS]), Task(prompt="p"), cut)
    assert [p["reason"] for p in found.evidence["parts"]] == ["truncated", ""]


def test_what_they_are_made_of_shows():
    made = make_verifier({"name": "all_of", "verifiers": ["exact", "regex:a"]})
    assert made.oracle
    assert made.version == "1 of exact 1, regex 1"
    assert not make_verifier({"name": "all_of", "verifiers": ["regex:a"]}).oracle
    with pytest.raises(ConfigError, match="has none"):
        check_task(FirstOf(verifiers=[made]), Task(prompt="p"))
    check_task(made, Task(prompt="p", reference="a"))
    check_task(PASS, Task(prompt="p"))
