import math

import pytest

from burnish.bench.makespan import MAX_TOKENS, MEDIAN_TOKENS, SIGMA, Lengths, bound
from burnish.core.prompt import Prompt
from burnish.core.sampling import Sampling
from burnish.engine.replies import Call


def test_a_shared_machine_needs_the_sum_of_the_work():
    assert bound([100, 50, 250], 100, 2) == pytest.approx(4.0)
    assert bound([], 100, 2) == 0


def test_with_a_cap_the_longest_sequence_shows():
    # Two places, 10 tokens/s each: 100 and 20 first; 30 takes the place of 20 at 2 s and ends at 5 s; 100 ends at 10 s.
    assert bound([100, 20, 30], 20, 2, each=10) == pytest.approx(10.0)


def test_places_are_given_in_the_order_of_arrival():
    assert bound([10, 10, 100], 20, 2, each=10) == pytest.approx(1.0 + 10.0)
    assert bound([100, 10, 10], 20, 2, each=10) == pytest.approx(10.0)


def test_more_places_never_take_longer():
    lengths = [7 * i % 90 + 1 for i in range(60)]
    times = [bound(lengths, 1000, places, each=10) for places in (1, 2, 8, 60)]
    assert times == sorted(times, reverse=True)


def test_lengths_have_the_stated_shape():
    lengths = Lengths()
    for seed in range(4000):
        lengths.reply(Call(Prompt.of("q"), Sampling(seed=seed)))
    drawn = sorted(lengths.drawn)
    assert drawn[2000] == pytest.approx(MEDIAN_TOKENS, rel=0.06)
    assert drawn[-1] == MAX_TOKENS
    assert math.exp(SIGMA * 2.3263) == pytest.approx(8, rel=1e-3)
