"""What libraries of this kind get wrong, each with a test that it does not happen here.

Others of these defects have their tests where the subject is: unreadable judgements and scores off the scale in `test_judge`,
time that is counted while a verifier waits for its turn in `test_verifiers_worker`, results that code forges in
`test_sandbox_attacks`.
"""

import asyncio

import pytest

from burnish import BestOfN, GenerationFailed, Majority, Task, Verdict
from burnish.search.iad import IAD
from tests.helpers import rows, searching, session


class Counts:
    """A verifier that counts how often it is asked; it fails all."""

    name, version, oracle, judges_truncated = "counts", "1", False, False

    def __init__(self):
        self.asked = 0

    async def verify(self, task, candidate, ctx=None):
        self.asked += 1
        return Verdict.failed("no", reason="never")


async def test_equal_samples_are_judged_and_never_right_for_being_equal(tmp_path):
    verifier = Counts()
    async with session(tmp_path, "the same") as s:
        result = await s.run(searching(BestOfN(4), verifier), "?")
    assert (result.outcome, verifier.asked) == ("rejected", 4)
    assert rows(tmp_path, "SELECT DISTINCT outcome, score FROM verdict") == [("fail", 0.0)]


@pytest.mark.parametrize("n", [1, 2, 3, 4])
async def test_where_all_samples_are_lost_there_is_no_answer_whatever_their_number(tmp_path, n):
    async with session(tmp_path, lambda call: GenerationFailed("no", code="scripted")) as s:
        result = await s.run(searching(BestOfN(n), Counts()), "?")
    assert result.answer is None
    assert (result.outcome, result.usage.failed_calls) == ("no_answer", n)
    assert "Error" not in str(rows(tmp_path, "SELECT answer FROM run"))


async def test_a_policy_is_the_same_at_its_third_use_as_at_its_first(tmp_path):
    async with session(tmp_path, lambda call: GenerationFailed("no", code="scripted") if call.seed % 3 == 0 else "x") as s:
        graph = searching(BestOfN(3), Counts())
        found = [await s.run(graph, Task(id=f"t{i}", prompt="?"), seed=1) for i in range(3)]
        again = [await s.run(graph, Task(id=f"t{i}", prompt="?"), seed=1) for i in range(3)]
    assert [r.usage.failed_calls for r in found] == [r.usage.failed_calls for r in again]


async def test_a_verifiers_crash_and_a_lost_sample_are_told_apart_and_the_sample_is_kept(tmp_path):
    class Broken(Counts):
        async def verify(self, task, candidate, ctx=None):
            if candidate.text == "odd":
                raise RuntimeError("broken")
            return Verdict.failed("no", reason="never")

    replies = ("odd", "even", GenerationFailed("gone", code="scripted"))
    async with session(tmp_path, lambda call: replies[call.seed % 3]) as s:
        await s.run(searching(BestOfN(12), Broken()), Task(prompt="?", extract="exact_text"))
    by_reason = dict(rows(tmp_path, "SELECT reason, count(*) FROM verdict GROUP BY reason"))
    lost = rows(tmp_path, "SELECT count(*) FROM call WHERE state = 'error'")[0][0]
    assert set(by_reason) == {"verifier_error", "never"}
    assert sum(by_reason.values()) + lost == 12
    kept = "SELECT DISTINCT c.answer FROM candidate c JOIN verdict v ON v.candidate_id = c.id WHERE v.reason = 'verifier_error'"
    assert rows(tmp_path, kept) == [("odd",)]


async def test_votes_go_by_the_answer_and_not_by_the_likeness_of_texts(tmp_path):
    long = "Let me think about the whole of it step by step, as I always do, with great care. The answer is "
    texts = [long + "7", "8", "It must be 8", long + "9", "8!"]
    asked = iter(texts)
    async with session(tmp_path, lambda call: next(asked)) as s:
        result = await s.run(searching(Majority(5), None), Task(prompt="?", extract="last_number"))
    assert result.answer in texts[1:3] + texts[4:]


async def test_a_verdict_belongs_to_the_candidate_that_was_asked_about(tmp_path):
    class Slow(Counts):
        async def verify(self, task, candidate, ctx=None):
            await asyncio.sleep(0.02 if candidate.text.endswith("0") else 0)
            return Verdict.passed(0.5) if candidate.text.endswith("0") else Verdict.failed(candidate.text, reason="never")

    async with session(tmp_path, lambda call: f"{call.seed} {call.seed % 3}") as s:
        await s.run(searching(BestOfN(12, stop_at_pass=False), Slow()), Task(prompt="?", extract="exact_text"))
    sql = "SELECT c.answer, v.outcome, v.feedback FROM candidate c JOIN verdict v ON v.candidate_id = c.id"
    found = rows(tmp_path, sql)
    assert len(found) == 12
    assert all((outcome == "pass") == text.endswith("0") for text, outcome, _ in found)
    assert all(feedback == text for text, outcome, feedback in found if outcome == "fail")


async def test_a_refinement_that_is_worse_does_not_replace_what_was_found(tmp_path):
    class Scores(Counts):
        async def verify(self, task, candidate, ctx=None):
            return Verdict.failed("more", score=float(candidate.text), reason="short")

    asked = iter(("0.4", "0.9", "0.1", "0.2"))
    async with session(tmp_path, lambda call: next(asked)) as s:
        result = await s.run(searching(IAD(rounds=3), Scores()), "?")
    assert (result.answer, result.score) == ("0.9", 0.9)
