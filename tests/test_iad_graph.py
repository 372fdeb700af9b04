"""The graphs that refine in rounds, with the scripted engine: what they are told, repair, and going on after a stop."""

import json
import random

import pytest

from burnish import Budget, Cancelled, ConfigError, GenerationFailed, ScriptedEngine, Task, Verdict
from burnish.engine.replies import Reply
from tests.helpers import rows, session
from tests.iad_kit import NUMERIC, guess


async def test_resampling_draws_the_very_samples_of_best_of_n(tmp_path):
    drawn = []
    for name, settings in (("iad", {"n0": 2, "rounds": 2, "move": "resample"}), ("best_of_n", {"n": 4})):
        folder = tmp_path / name
        folder.mkdir()
        async with session(folder, engine=ScriptedEngine(guess)) as s:
            await s.run(name, "?", settings={**settings, "verifier": NUMERIC, "stop_at_pass": False}, seed=3)
        drawn.append(sorted(rows(folder, "SELECT preview FROM candidate")))
    assert drawn[0] == drawn[1]
    assert len(drawn[0]) == 4


class Scores:
    """Grades the number of words that are right, and says which one is not."""

    name, version, oracle, judges_truncated = "scores", "1", False, False

    async def verify(self, task, candidate, ctx=None):
        right = sum(a == b for a, b in zip(candidate.text.split(), ("a", "b", "c"), strict=False))
        return Verdict.passed() if right == 3 else Verdict.failed(f"word {right + 1} is off", score=right / 3)


async def asked(tmp_path, replies, verifier=None, task="Say it.", **settings):
    """The dialogues of the proposer's calls, and the run's result. `replies` are said one after the other."""
    prompts = []

    def reply(call):
        if call.text.startswith("You check an answer"):
            return "mind the end"
        prompts.append(call.prompt.messages)
        return replies[min(len(prompts), len(replies)) - 1]

    name = settings.pop("graph", "iad")
    async with session(tmp_path, engine=ScriptedEngine(reply)) as s:
        result = await s.run(name, task, settings={"verifier": verifier or Scores(), **settings})
    return prompts, result


async def test_what_each_mode_tells(tmp_path):
    replies, told = ["a x x", "x x x", "a b c"], {}
    for mode in ("none", "scalar", "directional", "critique", "directional+critique"):
        folder = tmp_path / mode
        folder.mkdir()
        prompts, result = await asked(folder, replies, rounds=2, feedback=mode)
        assert result.verified
        assert [m.role for m in prompts[-1]] == ["user"]
        told[mode] = prompts[-1][-1].text
    assert all(text.startswith("Say it.\n\n") and "a x x" in text for text in told.values())
    assert all(("x x x" in text) == (mode != "none") for mode, text in told.items())
    scored = {mode for mode, text in told.items() if "score 0.33" in text}
    assert scored == {"scalar", "directional", "directional+critique"}
    assert {mode for mode, text in told.items() if "word 2 is off" in text} == {"directional", "directional+critique"}
    assert {mode for mode, text in told.items() if "mind the end" in text} == {"critique", "directional+critique"}
    assert rows(tmp_path / "critique", "SELECT role, count(*) FROM call GROUP BY role") == [("critic", 2), ("proposer", 3)]


async def test_the_earlier_answer_can_be_a_turn_of_its_own(tmp_path):
    prompts, _ = await asked(tmp_path, ["a x x", "a b c"], feedback="directional", layout="turns", system="Be brief.")
    assert [m.role for m in prompts[1]] == ["system", "user", "assistant", "user"]
    assert prompts[1][:2] == prompts[0]
    assert prompts[1][2].text == "a x x"
    assert prompts[1][3].text.endswith("\n\nSay it.")
    assert "word 2 is off" in prompts[1][3].text


async def test_remarks_tell_what_is_wrong_and_show_no_answer(tmp_path):
    prompts, _ = await asked(tmp_path, ["a x x", "x x x", "a b c"], rounds=2, feedback="directional", layout="remarks")
    assert "word 2 is off" in prompts[2][-1].text
    assert "a x x" not in prompts[2][-1].text
    assert "x x x" not in prompts[2][-1].text


async def test_placebos_tell_as_much_and_nothing_true(tmp_path):
    told = {}
    for control in ("none", "swapped", "foreign"):
        folder = tmp_path / control
        folder.mkdir()
        prompts, _ = await asked(folder, ["a x x", "x x x", "a b c"], rounds=2, feedback="directional", control=control)
        told[control] = prompts[2][-1].text
    best = "An answer that was given (score 0.33 of 1):\n"
    assert best + "a x x" in told["none"]
    assert best + "x x x" in told["swapped"]
    assert "word 2 is off" in told["swapped"]
    assert best + "a x x" in told["foreign"]
    assert "word 2 is off" not in told["foreign"]
    assert "What is wrong with the best answer: " in told["foreign"]


async def test_a_repeated_answer_is_told_not_to_be_repeated(tmp_path):
    prompts, _ = await asked(tmp_path, ["a x x"] * 3 + ["a b x"] * 2, rounds=4, feedback="none")
    assert ["Do not repeat" in p[-1].text for p in prompts] == [False, False, False, True, False]
    assert "not to be repeated:\na x x" in prompts[4][-1].text


@pytest.mark.parametrize("mode", ["none", "directional"])
async def test_a_repeated_answer_that_is_not_the_best_is_named_as_such(tmp_path, mode):
    prompts, _ = await asked(tmp_path, ["a b x", "x x x", "a x x", "a x x", "a x x", "a b c"], rounds=5, feedback=mode)
    text = prompts[5][-1].text
    assert text.count("a x x") == 1
    said = "not to be repeated:\na x x" if mode == "none" else "The rejected answer was given more than once."
    assert said in text
    assert "not to be repeated" not in prompts[4][-1].text
    assert "rejected answer was given" not in prompts[4][-1].text


async def test_a_critic_that_fails_leaves_the_rewrite_without_critique(tmp_path):
    def reply(call):
        return Reply(error=GenerationFailed("no")) if call.text.startswith("You check an answer") else "a x x"

    async with session(tmp_path, engine=ScriptedEngine(reply)) as s:
        await s.run("iad", "?", settings={"verifier": Scores(), "rounds": 2})
    assert rows(tmp_path, "SELECT count(*) FROM candidate WHERE kind = 'refine'") == [(2,)]


async def test_a_verifier_that_raises_is_no_information(tmp_path):
    class Raises(Scores):
        async def verify(self, task, candidate, ctx=None):
            if candidate.text == "x":
                raise RuntimeError("the gold is 42")
            return await super().verify(task, candidate, ctx)

    prompts, result = await asked(tmp_path, ["x", "a x x", "x", "a b c"], Raises(), rounds=3, feedback="directional")
    assert result.answer == "a b c"
    assert len(prompts[1]) == 1
    assert prompts[1][0].text == "Say it."
    assert not any("gold" in m.text for p in prompts for m in p)


SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
    "required": ["name", "age"],
}


def person(call):
    """JSON whose first pair is always right and whose second one seldom is."""
    age = "41" if call.random.random() < 0.3 else '"old"'
    whole = '{"name": "Ada", "age": ' + age + "}"
    return Reply(whole.removeprefix(call.prefix))


async def test_a_repair_goes_on_behind_what_is_right(tmp_path):
    verifier = {"name": "json_schema", "schema": SCHEMA}
    async with session(tmp_path, engine=ScriptedEngine(person)) as s:
        result = await s.run("iad", "Who?", settings={"verifier": verifier, "move": "repair", "rounds": 12}, seed=1)
    assert result.verified
    assert json.loads(result.answer) == {"name": "Ada", "age": 41}
    kinds = rows(tmp_path, "SELECT kind, preview FROM candidate ORDER BY seq")
    assert [kind for kind, _ in kinds] == ["fresh"] + ["repair"] * (len(kinds) - 1)
    assert len(kinds) > 1
    assert all(text.startswith('{"name": "Ada",') for _, text in kinds)
    assert rows(tmp_path, "SELECT DISTINCT valid_prefix FROM verdict WHERE outcome = 'fail'") == [(len('{"name": "Ada",'),)]


async def test_auto_takes_to_repair_where_only_that_pays(tmp_path):
    def reply(call):
        if call.prefix:
            return person(call)
        return '{"name": "Ada", "age": "old"}'

    verifier = {"name": "json_schema", "schema": SCHEMA}
    settings = {"verifier": verifier, "move": "auto", "rounds": 20, "feedback": "none"}
    async with session(tmp_path, engine=ScriptedEngine(reply)) as s:
        assert (await s.run("iad", "Who?", settings=settings)).verified


async def test_the_budget_is_kept_and_the_best_so_far_is_returned(tmp_path):
    async with session(tmp_path, ["a x x", "x x x", "a b x"]) as s:
        settings = {"verifier": Scores(), "rounds": 20}
        result = await s.run("iad", "?", settings=settings, budget=Budget(calls=6))
    assert result.budget_limit == "calls"
    assert result.usage.calls <= 6
    best = rows(tmp_path, "SELECT max(score) FROM verdict")
    assert [(result.score,)] == best
    assert json.loads(rows(tmp_path, "SELECT details FROM decision")[0][0])["stop"] == "budget"


async def test_the_same_seed_gives_the_same_trace(tmp_path):
    traces = []
    for name in ("one", "two"):
        folder = tmp_path / name
        folder.mkdir()
        async with session(folder, engine=ScriptedEngine(guess, latency=lambda call: random.random() / 200)) as s:
            settings = {"verifier": NUMERIC, "rounds": 3, "per_round": 3, "feedback": "directional", "stop_at_pass": False}
            await s.run("iad", "?", settings=settings, seed=7)
        traces.append(rows(folder, "SELECT position, kind, preview FROM candidate ORDER BY position"))
        traces.append(rows(folder, "SELECT reason, details FROM decision"))
    assert traces[:2] == traces[2:]


@pytest.mark.parametrize("stop_at", [1, 4, 9])
async def test_a_run_that_was_stopped_goes_on_where_it_was(tmp_path, stop_at):
    settings = {"verifier": NUMERIC, "rounds": 3, "per_round": 2, "n0": 2, "stop_at_pass": False, "move": "auto"}
    whole, part, served, started = tmp_path / "whole", tmp_path / "part", [], []
    whole.mkdir()
    part.mkdir()
    async with session(whole, engine=ScriptedEngine(guess)) as s:
        expected = await s.run("iad", "?", settings=settings, seed=5)

    def reply(call):
        served.append(call.seed)
        if len(served) == stop_at:
            s.stop.request("interrupted")
        return guess(call)

    async with session(part, engine=ScriptedEngine(reply, latency=0.002)) as s:
        with pytest.raises(Cancelled):
            await s.run("iad", "?", settings=settings, seed=5, on_start=started.append)
    async with session(part, engine=ScriptedEngine(guess)) as s:
        assert (await s.resume(started[0])).answer == expected.answer
    query = "SELECT position FROM call WHERE state = 'ok' ORDER BY position"
    assert rows(part, query) == rows(whole, query)
    query = "SELECT c.position, c.kind, c.preview, v.outcome FROM candidate c JOIN verdict v ON v.candidate_id = c.id ORDER BY 1"
    assert rows(part, query) == rows(whole, query)


async def test_self_refinement_needs_no_verifier_and_sequential_revision_sees_no_verdict(tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir()
    two.mkdir()
    async with session(one, ["first", "second", "third", "mind the end"]) as s:
        result = await s.run("self_refine", "?", settings={"verifier": None, "rounds": 2})
    assert result.answer == rows(one, "SELECT preview FROM candidate ORDER BY seq DESC LIMIT 1")[0][0]
    assert rows(one, "SELECT role, count(*) FROM call GROUP BY role") == [("critic", 2), ("proposer", 3)]
    assert rows(one, "SELECT policy, reason FROM decision") == [("self_refine", "last")]
    prompts, result = await asked(two, ["a x x", "a b x", "x x x"], graph="sequential_revision", rounds=2)
    assert result.answer == "a b x"
    assert [[m.text for m in p] for p in prompts[1:]] == [["Say it.", "a x x", "Say it."], ["Say it.", "a b x", "Say it."]]


@pytest.mark.parametrize("wrong", [{"n0": 0}, {"feedback": "loud"}, {"move": "guess"}, {"rounds": -1}, {"target": 2}])
async def test_settings_that_cannot_be_are_refused(tmp_path, wrong):
    async with session(tmp_path) as s:
        with pytest.raises(ConfigError, match=next(iter(wrong))):
            await s.run("iad", "?", settings=wrong)


@pytest.mark.parametrize(
    ("verifier", "reference"),
    [
        ("exact", "Zanzibar"),
        ("numeric", "40417"),
        ({"name": "sqlite_query", "schema": "CREATE TABLE t (a); INSERT INTO t VALUES (1), (2)"}, "SELECT 40417 FROM t"),
    ],
)
async def test_an_oracle_tells_no_reference(tmp_path, verifier, reference):
    prompts, texts = [], ["Paris 7", "SELECT a FROM t", "SELECT b FROM t", "Rome", "12"]

    def reply(call):
        prompts.append(call.text)
        return texts[len(prompts) % len(texts)]

    task = Task(prompt="Which one?", reference=reference, verifier=verifier)
    async with session(tmp_path, engine=ScriptedEngine(reply)) as s:
        result = await s.run("iad", task, settings={"rounds": 4, "per_round": 2})
    assert result.outcome == "rejected"
    assert len(prompts) > 8
    assert not any(gold in prompt for prompt in prompts for gold in (reference, "40417"))


async def test_a_verifier_that_tells_the_reference_against_its_contract_is_not_quoted(tmp_path):
    class Leaks(Scores):
        async def verify(self, task, candidate, ctx=None):
            return Verdict.failed(f"I wanted {task.reference}", score=0.2, evidence={"gold": task.reference})

    task = Task(prompt="Which one?", reference="Zanzibar")
    prompts, _ = await asked(tmp_path, ["Rome", "Paris", "Oslo"], Leaks(), task=task, rounds=3)
    assert len(prompts) == 4
    assert not any("Zanzibar" in m.text for p in prompts for m in p)
