"""Further attempts at an episode: what they are told of the earlier ones, and what not."""

import pytest

from burnish import Task
from tests.environment_kit import Faulty, log
from tests.episode_kit import QUERY, episode, said, turn
from tests.helpers import rows

__all__ = ["log"]


async def test_a_round_is_told_of_the_best_and_a_rejected_attempt(tmp_path):
    seen = []

    def reply(call):
        opening = said(call)[0]
        if turn(call) == 0:
            seen.append(opening)
            return "Action: add 1"
        number = opening.count("attempt at this task")
        return f"Action: answer {(8, 5, 3)[number]}"

    result = await episode(tmp_path, reply, rounds=3)
    assert (result.answer, result.outcome) == ("3", "verified")
    first, second, third = seen
    assert "attempt" not in first
    assert "The best attempt at this task (score 0.17 of 1):\nAction: add 1\nObservation: sum 1\nAction: answer 8" in second
    assert "What is wrong with the best answer: it is off by 5" in second
    assert "The best attempt at this task (score 0.33 of 1)" in third
    assert "A rejected attempt at this task (score 0.17 of 1)" in third
    assert third.index("The best") < third.index("A rejected") < third.index("from the beginning") < third.index("sum 0\n"[:-1])
    assert rows(tmp_path, "SELECT kind, preview FROM candidate ORDER BY seq") == [
        ("fresh", "8"),
        ("refine", "5"),
        ("refine", "3"),
    ]


@pytest.mark.parametrize(
    ("feedback", "score", "words"), [("none", False, False), ("scalar", True, False), ("directional", True, True)]
)
async def test_what_each_mode_tells(tmp_path, feedback, score, words):
    seen = []

    def reply(call):
        seen.append(said(call)[0])
        return "Action: answer 5"

    await episode(tmp_path, reply, rounds=1, feedback=feedback)
    assert ("score 0.33" in seen[1]) == score
    assert ("off by 2" in seen[1]) == words


async def test_a_critic_reads_the_transcript(tmp_path):
    seen = []

    def reply(call):
        if "Action:" in call.text and "You act step by step" not in call.text:
            seen.append(call.text)
            return "Count better."
        seen.append(call.text)
        return "Action: answer 5"

    await episode(tmp_path, reply, rounds=1, feedback="critique")
    assert "Observation: over" in seen[1]
    assert "A critic says of the best attempt: Count better." in seen[2]


async def test_attempts_that_come_to_the_same_are_told_so(tmp_path):
    seen = []

    def reply(call):
        seen.append(said(call)[0])
        return "Action: answer 5"

    await episode(tmp_path, reply, rounds=4)
    assert "More than one attempt came to the same" not in seen[1]
    assert "More than one attempt came to the same" in seen[-1]


async def test_without_telling_a_round_begins_from_the_task(tmp_path):
    seen = []

    def reply(call):
        seen.append(said(call)[0])
        return "Action: answer 5"

    await episode(tmp_path, reply, rounds=2, move="resample")
    assert len(seen) == 3
    assert len(set(seen)) == 1


async def test_an_attempt_that_is_shown_is_bounded(tmp_path):
    seen = []

    def reply(call):
        if turn(call) == 0:
            seen.append(said(call)[0])
        return "Action: shout"

    await episode(tmp_path, reply, env=Faulty, steps=3, rounds=1, attempt_chars=300, observation_chars=1000)
    assert "(it did not come to an end; score 0.00 of 1)" in seen[1]
    assert "characters left out]" in seen[1]
    assert len(seen[1]) < len(seen[0]) + 700


async def test_no_round_is_told_the_reference(tmp_path):
    seen = []

    def reply(call):
        seen.append("\n".join(said(call)))
        return ("Action: SELECT name FROM person", "Action: submit")[turn(call)]

    task = Task.from_json({**QUERY.to_json(), "reference": "SELECT name FROM person WHERE 1 = 1 AND age > 35"})
    await episode(tmp_path, reply, task, env="sql", rounds=2)
    assert len(seen) == 6
    assert not any("1 = 1" in text for text in seen)
