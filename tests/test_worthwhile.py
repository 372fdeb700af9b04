"""The policy that stops where one more attempt is not worth its risk, against the closed form and in runs."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from burnish import ConfigError, Scored, ScriptedEngine, Session, Solver, Task, TaskView, search_node
from burnish.core.candidate import Candidate
from burnish.core.verdict import Verdict
from burnish.graphs.builtin import one_node
from burnish.graphs.registry import build_graph
from burnish.search.worthwhile import Worthwhile
from burnish.stats import Resampling

TASK = TaskView(id="t")
PAPER = Resampling(types=[(0.58, 0.87), (0.42, 0.13)], tpr=1.0, fpr=0.25)


def play(policy, outcomes):
    """Tell one outcome for each sample asked for; the choice and how many were asked for."""
    state = policy.start(TASK, 0)
    for i in range(10_000):
        state, moves = policy.ask(state)
        if not moves:
            chosen = policy.finish(state, False)
            assert chosen is not None, "nothing is asked for and nothing chosen"
            return chosen, i
        assert [e.id for e in moves.expansions] == [f"x{i}"]
        assert policy.finish(state, False) is None
        state = policy.tell(state, Scored(id=f"x{i}", **outcomes(i)))
    raise AssertionError("it never ends")


def rejecting(i):
    return {"outcome": "fail", "score": 0.0}


@pytest.mark.parametrize("cost", [0.61, 0.7, 1.0, 2.0, 4.0, 8.0])
def test_it_draws_as_many_as_the_closed_form_says(cost):
    chosen, asked = play(Worthwhile(PAPER, fp_cost=cost), rejecting)
    assert asked == PAPER.best_cap(fp_cost=cost)
    assert (chosen.id, chosen.reason) == (None, "negative_marginal_utility")
    assert chosen.details["rejected"] == asked
    assert chosen.details["worth"] <= 0


@given(st.floats(0.02, 0.98), st.floats(0.02, 0.98), st.floats(0.5, 1), st.floats(0.01, 0.45), st.floats(0, 8), st.floats(0, 0.2))
def test_for_any_verifier_better_than_chance_it_stops_at_the_best_cap(r1, r2, tpr, fpr, fp_cost, sample_cost):
    model = Resampling(types=[(0.4, r1), (0.6, r2)], tpr=tpr, fpr=fpr)
    best = model.best_cap(fp_cost=fp_cost, sample_cost=sample_cost)
    _, asked = play(Worthwhile(model, n=50, fp_cost=fp_cost, sample_cost=sample_cost), rejecting)
    value = model.utilities(50, fp_cost=fp_cost, sample_cost=sample_cost)
    assert value[asked] == pytest.approx(max(value), abs=1e-9)
    if best is None or best > 50:
        assert value[asked] == pytest.approx(value[50], abs=1e-9)


def test_without_an_end_it_stops_at_n():
    chosen, asked = play(Worthwhile(PAPER, n=7, fp_cost=0), rejecting)
    assert (chosen.id, chosen.reason, asked) == (None, "no_pass", 7)


def test_a_pass_is_returned_with_what_it_is_worth():
    chosen, asked = play(Worthwhile(PAPER, fp_cost=0.61), lambda i: {"outcome": "pass"} if i == 2 else {"outcome": "abstain"})
    assert (chosen.id, chosen.reason, asked) == ("x2", "passed", 3)
    assert chosen.confidence == pytest.approx(PAPER.precision(3)) == pytest.approx(0.418, abs=1e-3)


def test_lost_samples_tell_nothing_of_the_task_but_count():
    chosen, asked = play(Worthwhile(PAPER, n=9), lambda i: {"error": "generation"} if i < 4 else rejecting(i))
    assert (asked, chosen.details["rejected"], chosen.details["lost"]) == (4 + 2, 2, 4)
    chosen, asked = play(Worthwhile(PAPER, n=3), lambda i: {"error": "generation"})
    assert (asked, chosen.reason, chosen.details["rejected"]) == (3, "no_pass", 0)


def test_a_task_that_the_model_rules_out_ends_it():
    sure = Resampling(types=[(1.0, 1.0)], tpr=1.0, fpr=0.0)
    chosen, asked = play(Worthwhile(sure), rejecting)
    assert (asked, chosen.reason) == (1, "negative_marginal_utility")
    chosen, asked = play(Worthwhile(sure), lambda i: {"outcome": "pass"})
    assert (chosen.id, chosen.confidence) == ("x0", 1.0)


def test_it_has_to_choose_when_the_budget_is_spent():
    policy = Worthwhile(PAPER, fp_cost=0)
    state, _ = policy.ask(policy.start(TASK, 0))
    chosen = policy.finish(state, True)
    assert chosen is not None
    assert (chosen.id, chosen.reason) == (None, "no_pass")
    again, moves = policy.ask(state)
    assert (again, bool(moves)) == (state, False)


def test_its_utility_is_that_of_the_closed_form():
    draw, total, runs = random.Random(3), 0.0, 20_000
    policy = Worthwhile(PAPER, fp_cost=1.0)
    for _ in range(runs):
        r = 0.87 if draw.random() < 0.58 else 0.13
        rights: list[bool] = []

        def outcome(i, r=r, rights=rights):
            rights.append(draw.random() < r)
            return {"outcome": "pass"} if rights[-1] or draw.random() < 0.25 else {"outcome": "fail"}

        chosen, _ = play(policy, outcome)
        total += 0 if chosen.id is None else 1 if rights[-1] else -1
    assert total / runs == pytest.approx(PAPER.utility(2, fp_cost=1), abs=0.02)


async def test_a_run_that_abstains_says_why_and_goes_on_alike(tmp_path):
    graph = one_node("careful", search_node(Worthwhile(PAPER), Solver(), Never()))
    async with Session(ScriptedEngine(lambda call: "no"), store=f"sqlite:///{tmp_path}/runs.db") as session:
        result = await session.run(graph, Task(prompt="?"))
        decision = session.store.reader().decisions(result.run_id)[0]
        assert (result.outcome, result.answer, result.usage.calls) == ("no_answer", None, 2)
        assert (decision.policy, decision.selected, decision.reason) == ("worthwhile", None, "negative_marginal_utility")
        assert decision.details["rejected"] == 2


async def test_the_graph_takes_what_an_audit_found_as_settings(tmp_path):
    settings = {"types": [[0.5, 0.9], [0.5, 0.05]], "tpr": 0.9, "fpr": 0.2}
    async with Session(ScriptedEngine(lambda call: "no"), store=f"sqlite:///{tmp_path}/runs.db") as session:
        result = await session.run("worthwhile", Task(prompt="?", verifier="regex:yes"), settings=settings)
        assert result.outcome == "no_answer"
        assert session.store.reader().decisions(result.run_id)[0].reason == "negative_marginal_utility"
    with pytest.raises(ConfigError, match="types"):
        build_graph("worthwhile", {"tpr": 1, "fpr": 0})


class Never:
    """A verifier that passes nothing."""

    name = "never"
    version = "1"
    oracle = False
    judges_truncated = True

    async def verify(self, task: Task, candidate: Candidate, ctx: object = None) -> Verdict:
        return Verdict.failed()


@pytest.mark.parametrize("bad", [{"n": 0}, {"fp_cost": -1}, {"sample_cost": float("nan")}])
def test_settings_are_checked(bad):
    with pytest.raises(ConfigError):
        Worthwhile(PAPER, **bad)
