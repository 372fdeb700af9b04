import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from burnish.core.errors import ConfigError
from burnish.stats import needed_tasks, needed_tasks_unpaired, power_sentence, smallest_difference, smallest_difference_unpaired


@pytest.mark.parametrize(("difference", "discordant", "tasks"), [(0.05, 0.1, 307), (0.05, 0.2, 621), (0.03, 0.1, 865)])
def test_needed_tasks_meet_published_values(difference: float, discordant: float, tasks: int):
    assert needed_tasks(difference, discordant=discordant) == needed_tasks(-difference, discordant=discordant) == tasks


def test_unpaired_needs_many_more():
    assert needed_tasks_unpaired(0.05, share=0.6) == pytest.approx(1470, abs=5)


@pytest.mark.parametrize("discordant", [0.1, 0.2, 0.3])
def test_thirty_tasks_show_no_less_than_twenty_points(discordant: float):
    assert 0.2 <= smallest_difference(30, discordant=discordant) <= 0.25


@given(st.integers(1, 5000), st.floats(0.01, 1))
def test_the_smallest_difference_is_what_the_tasks_suffice_for(tasks: int, discordant: float):
    found = smallest_difference(tasks, discordant=discordant)
    assert 0 < found < 1
    assert abs(needed_tasks(found, discordant=max(discordant, found)) - tasks) <= 1


@given(st.integers(20, 5000), st.floats(0.05, 0.7))
def test_the_smallest_unpaired_difference_is_what_the_tasks_suffice_for(tasks: int, share: float):
    found = smallest_difference_unpaired(tasks, share=share)
    if found is None:
        assert needed_tasks_unpaired(1 - share, share=share) > tasks
    else:
        assert abs(needed_tasks_unpaired(found, share=share) - tasks) <= 1


def test_too_few_tasks_show_nothing_unpaired():
    assert smallest_difference_unpaired(3, share=0.8) is None


def test_runs_help_as_far_as_runs_vary():
    one = smallest_difference(100, run_share=0.5)
    assert smallest_difference(100, runs=8, run_share=0.0) == one
    assert smallest_difference(100, runs=4, run_share=1.0) == pytest.approx(smallest_difference(400))
    assert smallest_difference(100, runs=10**6) == pytest.approx(smallest_difference(200), rel=1e-4)


def test_the_sentence_says_what_is_shown_and_assumed():
    assert power_sentence(30) == (
        "30 tasks with 1 run each can show a difference of about 21 points or more"
        " (power 80%, two-sided 5%, if the methods differ on 20% of the tasks)"
    )
    assert "4 runs each" in power_sentence(30, runs=4)
    assert "vary by 50% from run to run" in power_sentence(30, runs=4)


@pytest.mark.parametrize(
    "function",
    [
        lambda: needed_tasks(0.0),
        lambda: needed_tasks(0.3, discordant=0.2),
        lambda: needed_tasks(0.1, power=1.0),
        lambda: needed_tasks(0.1, level=0.0),
        lambda: needed_tasks(math.nan),
        lambda: needed_tasks_unpaired(0.5, share=0.6),
        lambda: needed_tasks_unpaired(0.0),
        lambda: smallest_difference(0),
        lambda: smallest_difference(10, runs=0),
        lambda: smallest_difference(10, discordant=0.0),
        lambda: smallest_difference(10, run_share=1.5),
        lambda: smallest_difference_unpaired(10, share=1.0),
    ],
)
def test_impossible_plans_are_refused(function):
    with pytest.raises(ConfigError):
        function()
