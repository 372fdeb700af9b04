"""Graphs that a function makes: settings that do not fit its parameters are named before anything runs."""

from __future__ import annotations

from typing import Any, Literal

import pytest

from burnish import BestOfN, ConfigError, Solver, search_node
from burnish.graphs.builtin import one_node
from burnish.graphs.registry import build_graph


def made(
    n: int = 4, share: float = 0.5, name: str = "a", keep: bool = False, most: int | None = None, how: Literal["x", "y"] = "x"
):
    return one_node("made", search_node(BestOfN(int(n)), Solver()))


def loose(n, sizes: list[int] | None = None, odd: Missing = None, **more: Any):  # noqa: F821  # pyright: ignore
    return made(n)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"n": 2, "share": 1, "name": "b", "keep": True, "most": None, "how": "y"},
        {"share": 0.25, "most": 3},
    ],
)
def test_values_of_the_parameters_types_are_taken(settings):
    assert build_graph(made, settings).name == "made"


@pytest.mark.parametrize(
    "settings",
    [
        {"n": "x"},
        {"n": 2.5},
        {"n": True},
        {"share": "half"},
        {"name": 3},
        {"keep": 1},
        {"most": "all"},
        {"how": "z"},
        {"n": None},
    ],
)
def test_other_values_are_refused_by_name(settings):
    ((name, value),) = settings.items()
    with pytest.raises(ConfigError, match=f"setting {name} cannot be {value!r}") as caught:
        build_graph(made, settings)
    assert "n: 'int' = 4" in caught.value.hint or "n: int = 4" in caught.value.hint


@pytest.mark.parametrize("settings", [{}, {"m": 3}])
def test_a_setting_too_few_or_too_many_is_refused_with_those_that_there_are(settings):
    def needs(n: int):
        return made(n)

    with pytest.raises(ConfigError, match="settings do not fit") as caught:
        build_graph(needs, settings)
    assert caught.value.hint.startswith("settings: n: ")


def test_what_a_parameter_does_not_say_is_not_checked():
    assert build_graph(loose, {"n": 2, "sizes": "any", "odd": {}, "other": 1}).name == "made"
