"""The comparison with its_hub: what both sides must have alike, and what is made of the turns."""

from __future__ import annotations

from pathlib import Path

import pytest

from burnish.bench import microtasks
from burnish.bench.its_hub import ALL, EARLY, HUB, HUB_DEFAULT, Bench, Turn, section
from burnish.bench.peer_environment import environment
from burnish.core.errors import EngineUnavailable


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench("http://127.0.0.1:9/v1", Path("python"), microtasks.tasks("six_words", 3, 2), 8, tmp_path)


async def test_the_child_gets_the_verifiers_scores_and_the_extractors_keys(bench: Bench) -> None:
    task = bench.tasks[0]
    word = str(task.reference)
    good, bad = f"The {word} was here last night.", "No."
    assert await bench._answered({"score": task.id, "texts": [good, bad]}) == [1.0, 0.0]
    keys = await bench._answered({"keys": task.id, "texts": [good, good.upper(), bad]})
    assert keys[0] == keys[1] != keys[2]


async def test_answers_are_graded_and_none_is_wrong(bench: Bench) -> None:
    right, missing = bench.tasks
    turn = Turn(1.0, 9, {right.id: f"The {right.reference} was here last night.", missing.id: None})
    assert await bench.right(turn) == [1.0, 0.0]


def test_bars_are_held_against_the_paired_bound_and_the_ratio_of_each_round() -> None:
    def turns(seconds: float) -> list[Turn]:
        return [Turn(seconds, 100, {}), Turn(seconds * 1.1, 100, {})]

    half, worse = [[1.0, 0.0] * 100, [0.0, 1.0] * 100], [[0.0] * 200, [1.0, 0.0] * 100]
    found = section(
        "best_of_n",
        {EARLY: turns(4.0), HUB: turns(5.0), ALL: turns(5.0), HUB_DEFAULT: turns(6.0)},
        {EARLY: half, HUB: half, ALL: worse, HUB_DEFAULT: half},
    )
    bars = {m.name: m for m in found.measures if m.bar is not None}
    times = [m for m in found.measures if "times its_hub" in m.name]
    assert [m.value for m in times] == pytest.approx([0.8, 1.0])
    assert [m.met for m in times] == [True, None]
    assert [m.met for name, m in bars.items() if "low end" in name] == [True, False]
    assert len(found.missed) == 1


def test_a_folder_with_something_else_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(EngineUnavailable, match="no virtual environment"):
        environment("its_hub", tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.txt"]
