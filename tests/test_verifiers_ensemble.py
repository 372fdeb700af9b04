"""Verifiers that count what others say. An abstention is unknown: never a 0, and never in the way of what is certain."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from burnish.core.candidate import Candidate
from burnish.core.errors import BudgetExhausted, ConfigError
from burnish.core.task import Task
from burnish.core.verdict import Verdict
from burnish.core.verify import judge
from burnish.verifiers import FirstOf, MeanOf, MinOf, SqlExecution, Vote, make_verifier


class Says:
    version = "1"
    oracle = False
    judges_truncated = True

    def __init__(self, name, verdict, **rest):
        self.name, self.verdict, self.asked = name, verdict, 0
        self.__dict__.update(rest)

    async def verify(self, task, candidate, ctx=None):
        self.asked += 1
        if isinstance(self.verdict, Exception):
            raise self.verdict
        return self.verdict


def graded(score):
    if score is None:
        return Says("unsure", Verdict.abstain("timeout", "too slow"))
    return Says("graded", Verdict.passed(score) if score == 1 else Verdict.failed(f"{score} is not enough", score=score))


PASS = Says("p", Verdict.passed())
FAIL = Says("f", Verdict.failed("bad", reason="mismatch", valid_prefix=7))
WORSE = Says("w", Verdict.failed("worse", valid_prefix=3))
UNSURE = Says("a", Verdict.abstain("timeout", "too slow"))
UNGRADED = Says("u", Verdict.passed(None))
BROKEN = Says("b", RuntimeError("broken"))
RUBBISH = Says("r", "pass")
NAN = Says("n", float("nan"))


async def ask(verifier, candidate=None):
    return await judge(verifier, Task(prompt="p"), candidate or Candidate.of("x"))


@pytest.mark.parametrize(
    ("parts", "quorum", "outcome", "score"),
    [
        ([PASS, PASS, FAIL], None, "pass", 1),
        ([PASS, FAIL, PASS], None, "pass", 2 / 3),
        ([FAIL, FAIL, PASS], None, "fail", 0),
        ([PASS, FAIL], None, "fail", 0.5),
        ([PASS, UNSURE, FAIL], None, "abstain", None),
        ([PASS, UNSURE, PASS], None, "pass", 1),
        ([FAIL, UNSURE, FAIL], None, "fail", 0),
        ([UNSURE, UNSURE, PASS], None, "abstain", None),
        ([PASS, UNSURE, FAIL], 1, "pass", 1),
        ([PASS, UNSURE, PASS], 3, "abstain", None),
        ([PASS, UNSURE, FAIL], 3, "fail", 0.5),
        ([UNGRADED, UNGRADED, FAIL], None, "pass", 1),
        ([BROKEN, RUBBISH, NAN], 1, "abstain", None),
        ([BROKEN, PASS, PASS], None, "pass", 1),
    ],
)
async def test_vote(parts, quorum, outcome, score):
    found = await ask(Vote(verifiers=parts, quorum=quorum))
    assert (found.outcome, found.score) == (outcome, None if score is None else pytest.approx(score))


@given(st.lists(st.sampled_from(["pass", "fail", "abstain"]), min_size=1, max_size=6), st.data())
async def test_a_vote_decides_what_no_abstention_could_turn(outcomes, data):
    quorum = data.draw(st.integers(1, len(outcomes)))
    parts = [{"pass": PASS, "fail": FAIL, "abstain": UNSURE}[o] for o in outcomes]
    completed = itertools.product(*[["pass", "fail"] if o == "abstain" else [o] for o in outcomes])
    possible = {"pass" if c.count("pass") >= quorum else "fail" for c in completed}
    found = await ask(Vote(verifiers=parts, quorum=quorum))
    assert found.outcome == (possible.pop() if len(possible) == 1 else "abstain")


async def test_a_vote_asks_no_more_than_it_must():
    dear = Says("dear", Verdict.passed())
    found = await ask(Vote(verifiers=[PASS, PASS, dear]))
    assert (found.outcome, dear.asked) == ("pass", 0)
    assert [p["verifier"] for p in found.evidence["parts"]] == ["p", "p"]
    assert (await ask(Vote(verifiers=[FAIL, FAIL, dear]))).outcome == "fail"
    assert dear.asked == 0
    assert (await ask(Vote(verifiers=[FAIL, UNSURE, dear]))).outcome == "abstain"
    assert dear.asked == 1


async def test_a_lost_vote_says_why():
    found = await ask(Vote(verifiers=[FAIL, PASS, WORSE]))
    assert (found.feedback, found.reason, found.valid_prefix) == ("bad; worse", "mismatch", 3)
    unsure = await ask(Vote(verifiers=[PASS, UNSURE, BROKEN]))
    assert (unsure.reason, unsure.feedback) == ("timeout", "too slow; the verifier could not judge")


@pytest.mark.parametrize(
    ("scores", "settings", "mean", "least"),
    [
        ([1, 0.5], {}, ("pass", 0.75), ("pass", 0.5)),
        ([1, 0.2], {}, ("pass", 0.6), ("fail", 0.2)),
        ([0.4, 0.2], {}, ("fail", 0.3), ("fail", 0.2)),
        ([1, 0.5], {"threshold": 0.9}, ("fail", 0.75), ("fail", 0.5)),
        ([1, None], {"threshold": 0.9}, ("abstain", None), ("abstain", None)),
        ([1, None], {"threshold": 0.9, "quorum": 1}, ("pass", 1), ("pass", 1)),
        ([0.5, None], {"threshold": 0.9}, ("fail", 0.5), ("fail", 0.5)),
        ([1, 1, None], {"threshold": 0.6}, ("pass", 1), ("abstain", None)),
        ([0.8, 0.8, None], {"quorum": 2}, ("pass", 0.8), ("pass", 0.8)),
        ([0.8, None, None], {"quorum": 2}, ("abstain", None), ("abstain", None)),
        ([None, None], {"quorum": 1}, ("abstain", None), ("abstain", None)),
        ([0.7, 0.7, 0.7], {"threshold": 0.7}, ("pass", 0.7), ("pass", 0.7)),
    ],
)
async def test_scores(scores, settings, mean, least):
    for kind, (outcome, score) in ((MeanOf, mean), (MinOf, least)):
        found = await ask(kind(verifiers=[graded(s) for s in scores], **settings))
        assert (found.outcome, found.score) == (outcome, None if score is None else pytest.approx(score)), kind


@given(
    st.lists(st.one_of(st.none(), st.integers(0, 4).map(lambda n: n / 4)), min_size=1, max_size=5),
    st.sampled_from([0.25, 0.5, 0.75, 1.0]),
    st.data(),
)
async def test_what_is_certain_is_decided_and_no_abstention_is_a_zero(scores, threshold, data):
    quorum = data.draw(st.one_of(st.none(), st.integers(1, len(scores))))
    for kind, one in ((MeanOf, lambda s: sum(s) / len(s)), (MinOf, min)):
        found = await ask(kind(verifiers=[graded(s) for s in scores], threshold=threshold, quorum=quorum))
        known = [s for s in scores if s is not None]
        ends = {one([fill if s is None else s for s in scores]) >= threshold for fill in (0.0, 1.0)}
        if not known or (len(ends) == 2 and len(known) < (quorum or len(scores))):
            assert (found.outcome, found.score) == ("abstain", None)
        else:
            assert found.score == pytest.approx(one(known))
            assert found.outcome == ("pass" if one(known) >= threshold else "fail")
        if len(ends) == 1 and known:
            assert (found.outcome == "pass") == ends.pop()


async def test_parts_without_a_score_have_no_share():
    assert (await ask(MeanOf(verifiers=[UNGRADED, graded(0.6)], quorum=1))).score == 0.6
    assert (await ask(MeanOf(verifiers=[UNGRADED]))).reason == "no_score"
    for broken in (BROKEN, RUBBISH, NAN):
        found = await ask(MeanOf(verifiers=[graded(0.6), broken], quorum=1))
        assert (found.outcome, found.score) == ("pass", 0.6)
        assert (await ask(MinOf(verifiers=[graded(0.6), broken]))).outcome == "abstain"


async def test_a_below_threshold_says_why():
    found = await ask(MinOf(verifiers=[FAIL, graded(0.4)]))
    assert (found.feedback, found.reason, found.valid_prefix) == ("bad; 0.4 is not enough", "mismatch", None)
    almost = await ask(MeanOf(verifiers=[Says("p", Verdict.passed(0.8))], threshold=0.9))
    assert (almost.outcome, almost.score, almost.reason) == ("fail", 0.8, "below_threshold")


async def test_a_cascade_goes_on_while_it_is_unsure():
    dear = Says("dear", Verdict.failed("no", score=0.5))
    for score, outcome, asked in ((0.1, "fail", 0), (0.2, "fail", 0), (0.5, "fail", 1), (0.8, "pass", 0), (1, "pass", 0)):
        dear.asked = 0
        cheap = Says("cheap", Verdict.passed(score) if score >= 0.5 else Verdict.failed(score=score))
        found = await ask(FirstOf(verifiers=[UNSURE, cheap, dear], unsure=(0.2, 0.8)))
        assert (found.outcome, found.score, dear.asked) == (outcome, 0.5 if asked else score, asked)
    lost = await ask(FirstOf(verifiers=[graded(0.5), UNSURE], unsure=(0.2, 0.8)))
    assert (lost.outcome, lost.score, lost.reason) == ("abstain", None, "timeout")
    assert (await ask(FirstOf(verifiers=[UNGRADED, dear], unsure=(0.2, 0.8)))).score is None


async def test_beginnings_are_judged_by_those_that_can():
    beginning = Candidate(id="", position="", text="x", partial=True)
    prefix = Says("prefix", Verdict.failed("no", score=0.1), judges_prefixes=True)
    for kind in (Vote, MeanOf, MinOf):
        made = kind(verifiers=[PASS, PASS, prefix], quorum=2)
        assert made.judges_prefixes
        found = await ask(made, beginning)
        assert (found.outcome, [p["verifier"] for p in found.evidence["parts"]]) == ("fail", ["prefix"])
        assert not kind(verifiers=[PASS]).judges_prefixes
        assert (await ask(kind(verifiers=[PASS]), beginning)).reason == "partial"


async def test_cut_answers_go_to_those_that_judge_them():
    cut = Candidate(id="", position="", text="x", finish_reason="length")
    strict = Says("strict", Verdict.failed("no"), judges_truncated=False)
    assert not Vote(verifiers=[strict]).judges_truncated
    found = await ask(Vote(verifiers=[strict, PASS]), cut)
    assert (found.outcome, found.reason) == ("abstain", "truncated")
    assert (await ask(MeanOf(verifiers=[strict, PASS], quorum=1), cut)).outcome == "pass"


async def test_what_ends_a_run_passes_through():
    spent = Says("s", BudgetExhausted("spent", limit="calls"))
    for kind in (Vote, MeanOf, MinOf):
        with pytest.raises(BudgetExhausted):
            await ask(kind(verifiers=[UNSURE, spent]))


@pytest.mark.parametrize(
    ("spec", "what"),
    [
        ({"name": "vote", "verifiers": []}, "no verifiers in it"),
        ({"name": "vote", "verifiers": ["exact"], "quorum": 2}, "quorum is 2"),
        ({"name": "mean_of", "verifiers": ["exact"], "quorum": 0}, "quorum is 0"),
        ({"name": "mean_of", "verifiers": ["exact"], "threshold": 0}, "threshold is 0"),
        ({"name": "min_of", "verifiers": "exact"}, "is no list"),
        ({"name": "first_of", "verifiers": ["exact"], "unsure": [0.8, 0.2]}, "unsure is"),
        ({"name": "first_of", "verifiers": ["exact"], "unsure": [0.8]}, "the argument unsure"),
    ],
)
def test_what_is_wrong_is_named(spec, what):
    with pytest.raises(ConfigError, match=what):
        make_verifier(spec)


def test_what_they_are_made_of_shows():
    made = make_verifier({"name": "vote", "verifiers": ["exact", "regex:a", "regex:b"], "quorum": 2})
    assert made.oracle
    assert made.version == "1 quorum=2 of exact 1, regex 1, regex 1"
    assert not make_verifier({"name": "mean_of", "verifiers": ["regex:a"]}).oracle
    nested = make_verifier({"name": "min_of", "verifiers": [{"name": "vote", "verifiers": ["exact"]}, "regex:a"]})
    with pytest.raises(ConfigError, match="has none"):
        nested.check(Task(prompt="p"))


async def test_real_parts():
    task = Task(prompt="q", reference="SELECT 1", context={"schema": "CREATE TABLE t(a);"})
    sql = SqlExecution()
    endless = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT COUNT(*) FROM c"
    for text, outcome in (("SELECT 1", "pass"), ("SELECT 2", "fail"), (endless, "abstain")):
        verifier = MeanOf(verifiers=[sql, make_verifier("regex:SELECT")], threshold=0.8)
        assert (await judge(verifier, task, Candidate.of(text))).outcome == outcome
