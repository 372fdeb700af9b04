"""The computation allocation model: reported values, what measurements can tell, recovered parameters, picks near the best."""

from __future__ import annotations

import json
import math
import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from burnish.core.errors import ConfigError
from burnish.stats.allocation import REPORTED, Allocation, Informativeness, Sigmoid
from burnish.stats.allocation_fit import Measurement, Point, fit, fit_points, informativeness_of
from burnish.stats.effective_length import Configuration, Lengths, fit_lengths

PAPER = Allocation(a=(0.325, 0.101, 0.177), b=(-0.067, -0.008, 0.0), c=-0.730, sigmoid=REPORTED)
HALF = Informativeness(documents=0.5, shots=0.1)
LENGTHS = Lengths(document=130, question=40, instruction=60, subquery=30, shot_subqueries=2)
GRID = [Configuration(k, m, n) for k in (0, 1, 5, 20, 50, 100) for m in (0, 1, 4, 16, 64) for n in (1, 2, 5)]
SETS = {
    name: Informativeness(documents=documents, shots=shots)
    for name, documents, shots in [("a", 0.1, 0.02), ("b", 0.3, 0.1), ("c", 0.5, 0.05), ("d", 0.2, 0.2), ("e", 0.05, 0.15)]
}


def points(configurations=GRID, sets=SETS, noise=0.0):
    rng = random.Random(1)
    return [
        Point(configuration=c, i=i, value=PAPER.value(c, i) + rng.gauss(0, noise)) for i in sets.values() for c in configurations
    ]


def measured(noise=0.0, **more):
    """Scores on data sets of other means and spreads; `i` follows from them."""
    rng = random.Random(2)
    levels = {name: (rng.uniform(0.35, 0.45), rng.uniform(0.1, 0.15)) for name in SETS}
    truth = {(name, c): levels[name][0] + levels[name][1] * PAPER.value(c, SETS[name]) for name in SETS for c in GRID}
    rows = [
        Measurement(dataset=name, configuration=c, score=min(1.0, max(0.0, score + rng.gauss(0, noise))), **more)
        for (name, c), score in truth.items()
    ]
    return rows, truth


@pytest.mark.parametrize(
    ("values", "x", "value"),
    [
        ((0, 0, 1), -2.532, -2.104),
        ((1, 0, 1), -1.187, -1.482),
        ((5, 0, 1), -0.720, -0.911),
        ((20, 8, 1), 0.354, 0.504),
        ((50, 32, 5), 1.043, 0.916),
    ],
)
def test_predictions_meet_the_reported_parameters(values, x, value):
    assert PAPER.x(Configuration(*values), HALF) == pytest.approx(x, abs=1e-3)
    assert PAPER.value(Configuration(*values), HALF) == pytest.approx(value, abs=1e-3)


@given(st.floats(-2.1, 1.05))
def test_the_inverse_is_the_inverse(y):
    assert REPORTED(REPORTED.inverse(y)) == pytest.approx(y, abs=1e-9)


def test_targets_beyond_the_ends_are_clipped():
    top = REPORTED.inverse(1.12)
    assert REPORTED.inverse(5.0) == top
    assert REPORTED(top) == pytest.approx(1.12 - 3.3e-3, abs=1e-9)
    assert math.isfinite(REPORTED.inverse(-9.0))
    assert REPORTED(1e6) == pytest.approx(1.12)
    assert REPORTED(-1e6) == pytest.approx(-2.18)


def test_parameters_are_recovered():
    model = fit_points(points(), sigmoid=REPORTED)
    assert model.a == pytest.approx(PAPER.a, abs=2e-3)
    assert model.b == pytest.approx(PAPER.b, abs=2e-3)
    assert model.c == pytest.approx(PAPER.c, abs=2e-3)
    assert model.r2 == pytest.approx(1.0, abs=1e-4)
    assert model.dropped == ()


def test_parameters_are_recovered_under_noise_with_the_bias_of_clipping():
    model = fit_points(points(noise=0.05), sigmoid=REPORTED)
    assert 0.29 < model.a[0] < 0.37
    assert 0.08 < model.a[1] < 0.14
    assert model.r2 > 0.98


def test_a_sigmoid_is_fitted_in_a_second_stage_and_helps():
    fitted, line = fit_points(points(noise=0.05)), fit_points(points(noise=0.05), sigmoid=None)
    assert fitted.a == line.a
    assert fitted.mse < line.mse < 0.05
    assert fitted.sigmoid.scale == pytest.approx(REPORTED.scale, rel=0.1)
    assert fitted.sigmoid.low == pytest.approx(REPORTED.low, abs=0.15)
    assert line.sigmoid is None


@pytest.mark.parametrize(
    ("rows", "dropped", "told"),
    [
        (points([c for c in GRID if c.iterations == 1]), ["iterations"], "more than 1"),
        (points([c for c in GRID if c.shots == 4]), ["shots", "shots x i"], "differ in shots only"),
        (points(sets={"a": HALF}), ["documents x i", "shots x i"], "second data set"),
        (points(sets={"a": HALF, "b": replace(HALF, shots=0.3)}), ["documents x i"], "how much a document helps"),
        (points([c for c in GRID if c.documents == c.shots] * 3), ["shots", "shots x i"], "differ in shots only"),
        (points([c for c in GRID if c.iterations == 1], {"a": HALF}), ["iterations", "documents x i", "shots x i"], "second"),
    ],
)
def test_what_the_measurements_do_not_tell_is_named_and_left_out_only_if_wanted(rows, dropped, told):
    with pytest.raises(ConfigError, match=told):
        fit_points(rows)
    model = fit_points(rows, partial=True)
    assert list(model.dropped) == dropped
    coefficients = dict(zip(("documents", "shots", "iterations"), model.a, strict=True))
    coefficients |= {"documents x i": model.b[0], "shots x i": model.b[1]}
    assert {name for name, value in coefficients.items() if value == 0} == set(dropped)


def test_one_configuration_over_and_over_is_nothing_to_fit_on():
    same = points([Configuration(1, 1, 1)] * 3)
    with pytest.raises(ConfigError, match="do not tell"):
        fit_points(same, partial=True)
    with pytest.raises(ConfigError, match="too few"):
        fit_points(points()[:6])
    with pytest.raises(ConfigError, match="too few for a sigmoid"):
        fit_points(points(noise=0.1)[:7], partial=True)


def test_i_takes_three_measurements_of_a_data_set():
    rows, truth = measured()
    i = informativeness_of([r for r in rows if r.dataset == "c"])
    at = {values: truth["c", Configuration(*values)] for values in ((0, 0, 1), (1, 0, 1), (0, 1, 1))}
    assert i.documents == pytest.approx(at[1, 0, 1] - at[0, 0, 1])
    assert i.shots == pytest.approx(at[0, 1, 1] - at[0, 0, 1])
    without = [r for r in rows if r.configuration != Configuration(1, 0)]
    with pytest.raises(ConfigError, match=r"not measured at .* = \(1, 0, 1\)"):
        fit(without)
    assert fit(without, informativeness=SETS).informativeness == SETS


def test_scores_are_normalised_for_each_data_set_and_metric():
    rows, _ = measured()
    model = fit(rows)
    both = fit([replace(r, metric="em") for r in rows] + [replace(r, score=r.score / 2, metric="f1") for r in rows])
    assert both.measured == 2 * model.measured
    assert both.informativeness["c/f1"].documents == pytest.approx(both.informativeness["c/em"].documents / 2)
    with pytest.raises(ConfigError, match="two measurements of one configuration"):
        fit([*rows, rows[0]])
    with pytest.raises(ConfigError, match="score the same on a"):
        fit([replace(r, score=0.4) if r.dataset == "a" else r for r in rows])


@pytest.mark.parametrize("sigmoid", ["fit", REPORTED, None])
@pytest.mark.parametrize("noise", [0.0, 0.02])
def test_leaving_one_data_set_out_the_pick_scores_as_the_best(sigmoid, noise):
    """Simulated data: the pick on the data set that was left out scores at least 95 % of the best within each budget."""
    rows, truth = measured(noise)
    shares, chance = [], []
    for held in SETS:
        model = fit([r for r in rows if r.dataset != held], sigmoid=sigmoid)
        i = informativeness_of([r for r in rows if r.dataset == held])
        for budget in (16e3, 32e3, 128e3, 1e6):
            ranked = model.plan(i, budget, LENGTHS, grid=GRID)
            scores = [truth[held, p.configuration] for p in ranked]
            shares.append(scores[0] / max(scores))
            chance.append(sum(scores) / len(scores) / max(scores))
    assert min(shares) >= 0.95
    assert max(chance) < 0.95, "any configuration would do"


def test_a_plan_keeps_to_its_budget_and_prefers_the_shorter_of_equals():
    for budget in (2_000, 16_000, 128_000):
        found = PAPER.plan(HALF, budget, LENGTHS)
        assert all(p.tokens <= budget for p in found)
        assert [p.x for p in found] == sorted((p.x for p in found), reverse=True)
        fitting = [c for c in PAPER.grid() if LENGTHS.estimate(c) <= budget]
        assert found[0].x == max(PAPER.x(c, HALF) for c in fitting)
    flat = Allocation(a=(0.0, 0.0, 0.0), b=(0.0, 0.0, 0.0), c=1.0)
    assert flat.plan(HALF, 1e9, LENGTHS)[0].configuration == Configuration(0, 0, 1)
    with pytest.raises(ConfigError, match="no configuration fits into 10 tokens") as caught:
        PAPER.plan(HALF, 10, LENGTHS)
    assert "about 100" in caught.value.hint


def test_the_grid_is_within_what_was_measured():
    model = fit_points(points([Configuration(k, m, n) for k in (0, 3, 30) for m in (0, 4) for n in (1, 3)]))
    assert {c.documents for c in model.grid()} == {0, 1, 2, 5, 10, 20, 30}
    assert {c.shots for c in model.grid()} == {0, 1, 2, 4}
    assert {c.iterations for c in model.grid()} == {1, 2, 3}
    assert Configuration(1000, 256, 5) in model.grid(extrapolate=True)
    constant = fit_points(points([c for c in GRID if c.shots == 4]), partial=True)
    assert {c.shots for c in constant.grid()} == {4}


def test_effective_lengths_of_one_call_and_of_several():
    lengths = Lengths(document=100, question=20, instruction=50, subquery=10, shot_subqueries=2)
    assert lengths.estimate(Configuration(5, 2)) == 50 + 3 * (5 * 100 + 20)
    # Two iterations are five calls, after 0, 1, 1, 2 and 2 sub-queries; the shot has documents for three queries.
    shot = 3 * 5 * 100 + 20 + 2 * 10
    own = sum(5 * (1 + j) * 100 + 20 + 10 * j for j in (0, 1, 1, 2, 2))
    assert lengths.estimate(Configuration(5, 1, 2)) == 5 * (50 + shot) + own
    assert lengths.estimate(Configuration(0, 0)) == 70


def test_lengths_are_found_again_from_prompt_tokens():
    rows = [(Configuration(k, m), LENGTHS.estimate(Configuration(k, m))) for k in (0, 1, 5) for m in (0, 1, 4)]
    found = fit_lengths(rows, subquery=30, shot_subqueries=2)
    assert found.estimate(Configuration(20, 8, 3)) == pytest.approx(LENGTHS.estimate(Configuration(20, 8, 3)))
    assert fit_lengths(rows[:2]) is None
    assert fit_lengths([(Configuration(0, m), 60 + 40.0 * (m + 1)) for m in (0, 1, 2, 4)]) is None
    assert fit_lengths([(Configuration(k, k), 1000.0 - k) for k in (0, 1, 2, 3)]) is None
    several = fit([replace(r, tokens=LENGTHS.estimate(r.configuration)) for r in measured()[0]])
    assert several.lengths.document == pytest.approx(130)


def test_a_model_survives_a_file_and_a_damaged_one_is_refused():
    model = fit([replace(r, tokens=LENGTHS.estimate(r.configuration)) for r in measured()[0]])
    text = json.dumps(model.to_json())
    assert Allocation.from_json(json.loads(text)) == model
    assert Allocation.from_json(json.loads(json.dumps(PAPER.to_json()))) == PAPER
    for change in ({"a": [1]}, {"c": None}, {"sigmoid": {"scale": 1}}, {"most": {"documents": -1}}, {"lengths": [1]}):
        with pytest.raises(ConfigError):
            Allocation.from_json({**json.loads(text), **change})
    for other in ({}, {"model": "x"}, {**json.loads(text), "schema": 2}):
        with pytest.raises(ConfigError, match="no allocation model"):
            Allocation.from_json(other)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Configuration(-1, 0),
        lambda: Configuration(0, 0, 0),
        lambda: Configuration(1.5, 0),  # pyright: ignore[reportArgumentType]
        lambda: Configuration(True, 0),
        lambda: Lengths(document=-1, question=1),
        lambda: Lengths(document=math.nan, question=1),
        lambda: Measurement(dataset="a", configuration=Configuration(1, 1), score=45),
        lambda: Measurement(dataset="a", configuration=Configuration(1, 1), score=math.nan),
        lambda: Measurement(dataset="a", configuration=Configuration(1, 1), score=0.4, tokens=0),
    ],
)
def test_impossible_values_are_refused(make):
    with pytest.raises(ConfigError):
        make()


def test_a_sigmoid_that_was_given_is_kept():
    given = Sigmoid(4.0, 1.0, 0.0, -2.0)
    assert fit_points(points(), sigmoid=given).sigmoid == given
