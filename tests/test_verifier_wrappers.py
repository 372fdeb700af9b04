"""Verifiers made worse on purpose: how much, always the same way, and nothing else."""

from statistics import mean, stdev

import pytest

from burnish import Candidate, ConfigError, Task, Verdict, make_verifier
from burnish.core.verify import judge
from burnish.verifiers import check_task
from burnish.verifiers.wrappers import Noisy, Sparse

TEXTS = [f"answer {i}" for i in range(2000)]
TASK = Task(prompt="?", id="t")


class Fixed:
    """Says one thing of everything."""

    name, version, oracle, judges_truncated = "fixed", "3", True, True

    def __init__(self, verdict):
        self.verdict = verdict

    async def verify(self, task, candidate, ctx=None):
        return self.verdict


MIDDLE = Fixed(Verdict.failed("one word is off", score=0.5, valid_prefix=3, evidence={"gold": 1}))


async def verdicts(verifier, texts=TEXTS, task=TASK):
    return [await verifier.verify(task, Candidate.of(text)) for text in texts]


@pytest.mark.parametrize("wrapper", [Noisy(verifier=MIDDLE), Sparse(verifier=MIDDLE)])
async def test_without_noise_nothing_changes(wrapper):
    assert await verdicts(wrapper, TEXTS[:50]) == [MIDDLE.verdict] * 50


@pytest.mark.parametrize("verdict", [Verdict.passed(), Verdict.failed("no", valid_prefix=2), Verdict.passed(None)])
async def test_outcomes_are_turned_as_often_as_asked(verdict):
    made = await verdicts(Noisy(verifier=Fixed(verdict), flip=0.2))
    turned = [v for v in made if v.outcome != verdict.outcome]
    assert abs(len(turned) / len(made) - 0.2) < 0.04
    assert all(v == verdict for v in made if v.outcome == verdict.outcome)
    assert all((v.feedback, v.valid_prefix) == ("", None) for v in turned)
    assert all(v.score == (None if verdict.score is None else 1 - verdict.score) for v in turned)


async def test_scores_get_noise_of_the_width_asked():
    scores = [v.score for v in await verdicts(Noisy(verifier=MIDDLE, sigma=0.1))]
    assert abs(mean(scores) - 0.5) < 0.01
    assert abs(stdev(scores) - 0.1) < 0.01
    wide = [v.score for v in await verdicts(Noisy(verifier=MIDDLE, sigma=5))]
    assert {0.0, 1.0} <= set(wide)
    assert all(0 <= s <= 1 for s in wide)


async def test_a_noisy_score_may_decide_the_outcome():
    made = await verdicts(Noisy(verifier=MIDDLE, sigma=0.1, pass_at=0.6))
    assert all((v.outcome == "pass") == (v.score >= 0.6) for v in made)
    assert abs(mean(v.outcome == "pass" for v in made) - 0.159) < 0.04
    assert all(v.feedback == ("" if v.outcome == "pass" else "one word is off") for v in made)


async def test_a_shuffled_score_says_nothing():
    scores = [v.score for v in await verdicts(Noisy(verifier=Fixed(Verdict.failed(score=0.9)), shuffle=1))]
    assert abs(mean(scores) - 0.5) < 0.03
    assert abs(mean(s < 0.25 for s in scores) - 0.25) < 0.04


async def test_verdicts_are_hidden_as_often_as_asked():
    made = await verdicts(Sparse(verifier=MIDDLE, reveal=0.3))
    assert abs(mean(v.outcome != "abstain" for v in made) - 0.3) < 0.05
    assert {(v.reason, v.feedback) for v in made if v.outcome == "abstain"} == {("hidden", "")}


@pytest.mark.parametrize(
    ("settings", "score", "expected"),
    [
        ({"threshold": 0.5}, 0.5, ("pass", 1.0)),
        ({"threshold": 0.6}, 0.5, ("fail", 0.0)),
        ({"levels": 3}, 0.6, ("fail", 0.5)),
        ({"levels": 2}, 0.6, ("fail", 1.0)),
        ({"levels": 5}, 0.1, ("fail", 0.0)),
    ],
)
async def test_scores_become_coarser(settings, score, expected):
    (verdict,) = await verdicts(Sparse(verifier=Fixed(Verdict.failed(score=score)), **settings), ["x"])
    assert (verdict.outcome, verdict.score) == expected


async def test_words_can_be_left_out():
    (verdict,) = await verdicts(Sparse(verifier=MIDDLE, feedback=False), ["x"])
    assert verdict == Verdict(outcome="fail", score=0.5, reason="wrong")


async def test_the_same_candidate_always_gets_the_same_noise():
    noisy = Noisy(verifier=MIDDLE, sigma=0.3, flip=0.3)
    assert await verdicts(noisy, TEXTS[:99]) == (await verdicts(Noisy(verifier=MIDDLE, sigma=0.3, flip=0.3), TEXTS[98::-1]))[::-1]
    scores = [v.score for v in await verdicts(noisy, TEXTS[:99])]
    others = (
        await verdicts(Noisy(verifier=MIDDLE, sigma=0.3, flip=0.3, seed=1), TEXTS[:99]),
        await verdicts(noisy, TEXTS[:99], Task(prompt="?", id="u")),
    )
    assert all([v.score for v in other] != scores for other in others)


async def test_one_kind_of_noise_leaves_the_others_as_they_were():
    plain, both = await verdicts(Noisy(verifier=MIDDLE, sigma=0.1)), await verdicts(Noisy(verifier=MIDDLE, sigma=0.1, flip=0.5))
    assert [v.score for v in plain] == [v.score for v in both]


@pytest.mark.parametrize("wrapper", [Noisy, Sparse])
async def test_an_abstention_and_a_crash_stay_what_they_are(wrapper):
    noise = {"flip": 1} if wrapper is Noisy else {"threshold": 0.1}
    abstains = Fixed(Verdict.abstain("timeout"))
    assert await verdicts(wrapper(verifier=abstains, **noise), ["x"]) == [abstains.verdict]

    class Raises(Fixed):
        async def verify(self, task, candidate, ctx=None):
            raise RuntimeError("no")

    verdict = await judge(wrapper(verifier=Raises(None), **noise), TASK, Candidate.of("x"))
    assert (verdict.outcome, verdict.reason) == ("abstain", "verifier_error")


def test_what_a_wrapper_is_follows_from_what_is_in_it():
    made = make_verifier({"name": "noisy", "verifier": {"name": "sparse", "verifier": "exact", "levels": 2}, "flip": 0.1})
    assert made.oracle
    assert "exact" in made.version
    assert made.version != make_verifier({"name": "noisy", "verifier": "exact", "flip": 0.1}).version
    with pytest.raises(ConfigError, match="reference"):
        check_task(made, TASK)
    assert not make_verifier({"name": "sparse", "verifier": "regex:x"}).judges_prefixes


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "noisy", "verifier": "exact", "flip": 1.5},
        {"name": "noisy", "verifier": "exact", "sigma": -1},
        {"name": "noisy", "verifier": "exact", "pass_at": 2},
        {"name": "noisy"},
        {"name": "noisy", "verifier": None},
        {"name": "sparse", "verifier": "nobody"},
        {"name": "sparse", "verifier": "exact", "levels": 1},
        {"name": "sparse", "verifier": "exact", "reveal": -0.1},
        {"name": "sparse", "verifier": "exact", "threshold": "high"},
    ],
)
def test_what_cannot_be_is_refused(wrong):
    with pytest.raises(ConfigError):
        make_verifier(wrong)
