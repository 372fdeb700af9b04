"""Judges against the truth on a pool, with judges that are known to be right, wrong, unsure or fond of a place."""

import json
import math
import re
from dataclasses import replace

import pytest

from burnish import EngineUnavailable, ScriptedEngine, Session, Task
from burnish.agents.rubric import DEFAULT
from burnish.bench import judges as bench
from burnish.bench import judges_pairs
from burnish.compare.audit_choice import Choice
from burnish.engine.replies import Reply
from tests.pool_kit import drawn_pool, url

NAMES = [c.name for c in DEFAULT.criteria]
TASKS = [
    Task(
        id=f"t{i}",
        prompt=f"What is {i} + 1?",
        reference=i + 1,
        extract="last_number",
        grader="numeric",
        verifier={"name": "regex", "pattern": "[0-9]$"},
    )
    for i in range(6)
]


def answer(call):
    number = int(re.search(r"What is (\d+) \+ 1", call.text)[1])
    return f"{call.seed} makes {number + (1 if call.seed % 3 == 0 else 7)}"


def right(text, shown):
    """Whether an answer that a judge is shown is right."""
    return int(re.search(r"makes (\d+)", shown)[1]) == int(re.search(r"What is (\d+) \+ 1", text)[1]) + 1


def token(label):
    return Reply(label, top_logprobs=[{label: math.log(0.9)}])


class Model:
    """Answers, and judges by `prefers`: how good an answer is, from 0 to 1."""

    def __init__(self, prefers):
        self.prefers = prefers
        self.judged = 0

    def __call__(self, call):
        if "You judge" not in call.text and "You compare" not in call.text:
            return answer(call)
        self.judged += 1
        if "You compare" in call.text:
            one, two = (self.prefers(call.text, part) for part in call.text.split("Answer 1:")[1].split("Answer 2:"))
            better = "1" if one > two else "2" if two > one else "1"
            return token(better) if "nothing else" in call.text[-80:] else json.dumps({"reasoning": "", "better": better})
        score = DEFAULT.worst + round(
            (DEFAULT.best - DEFAULT.worst) * self.prefers(call.text, call.text.split("answer to judge")[1])
        )
        if "JSON" not in call.text:
            return token(str(score))
        return json.dumps({"reasoning": "", "scores": dict.fromkeys(NAMES, score)})


def knows(text, shown):
    return float(right(text, shown))


async def measured(path, model, k=4, judges=None):
    pool = await drawn_pool(path, TASKS, k, replies=answer)
    engine = ScriptedEngine(model)
    async with Session(engine, store=url(path)) as session:
        return pool, await bench.measured(
            pool,
            session,
            judges or bench.judges(64, reward=False),
            None,
            {"by text": {"by": "text"}, "by probability": {"by": "probability"}},
        )


async def test_a_judge_that_knows_is_never_wrong_and_picks_as_well_as_can_be(tmp_path):
    pool, found = await measured(tmp_path, Model(knows))
    assert list(found.results) == ["verifier", "written", "probability", "mean", "least", "cascade", "checked"]
    for name, result in found.results.items():
        choice = Choice.of(result)
        tpr, fpr = result.over_tasks("tpr"), result.over_tasks("fpr")
        if name == "verifier":
            assert (tpr.value, fpr.value) == (1, 1), "every number passes"
            assert choice.best_of[4].value == choice.best_of[1].value
        else:
            assert (tpr.value, fpr.value) == (1, 0)
            assert choice.best_of[4].value == choice.any_of[4].value
            assert choice.auroc.interval.value == 1
    for one in found.tournaments.values():
        assert one.pairs > 0
        assert one.ends["right"].value == 1
        assert one.best_of[4].value == Choice.of(found.results["written"]).any_of[4].value
    assert found.spent["verifier"]["calls"] == 0
    assert found.spent["written"]["calls"] == found.spent["probability"]["calls"] // len(NAMES) == 24
    assert found.asked["cascade"] == {"probability": 24, "written": 0}
    assert "right ones passed" in bench.tables(pool, found)


async def test_a_judge_that_likes_everything_is_worth_no_more_than_chance(tmp_path):
    _, found = await measured(tmp_path, Model(lambda text, shown: 1.0))
    for name in ("written", "probability", "mean", "checked"):
        result = found.results[name]
        assert (result.over_tasks("tpr").value, result.over_tasks("fpr").value) == (1, 1)
        assert Choice.of(result).gain[4].value == pytest.approx(0)
        assert Choice.of(result).auroc.interval.value == 0.5
    # It names the first answer of each pair, in both orders.
    for one in found.tournaments.values():
        assert one.ends["tie"].value == 1
        assert one.ends["right"].value == one.ends["unparsable"].value == 0


async def test_a_judge_that_is_unsure_has_the_cascade_ask_the_next_one(tmp_path):
    model = Model(lambda text, shown: 0.5 if "JSON" not in text else knows(text, shown))
    _, found = await measured(tmp_path, model)
    assert found.asked["cascade"] == {"probability": 24, "written": 24}
    assert found.results["cascade"].over_tasks("fpr").value == 0
    said = {name: {(j.task_id, j.attempt): j.said for j in found.results[name].judged} for name in ("cascade", "written")}
    assert said["cascade"] == said["written"]


async def test_what_cannot_be_read_is_an_abstention_of_every_kind(tmp_path):
    class Rambles(Model):
        def __call__(self, call):
            return answer(call) if call.text.startswith("What is") else "Well, well."

    _, found = await measured(tmp_path, Rambles(knows))
    for name in ("written", "probability", "mean", "least", "cascade", "checked"):
        assert {(j.said, j.reason) for j in found.results[name].judged} == {("abstain", "unparsable")}, name
    for one in found.tournaments.values():
        assert one.ends["unparsable"].value == 1


def test_the_command_prints_writes_and_does_nothing_twice(tmp_path, capsys):
    model = Model(lambda text, shown: 1.0)

    def reply(call):
        return model(call) if "You " in call.text[:4] else f"one two {call.seed % 5}"

    engine, rewards = ScriptedEngine(reply), ScriptedEngine("", rewards=lambda prompt, text: [1.0 if text[-1] in "01" else -1.0])
    where = ["--store", str(tmp_path / "runs.db"), "--out", str(tmp_path / "out")]
    size = ["micro", "--family", "six_words", "--limit", "3", "--samples", "2", "--pairwise", "text"]
    assert bench.main([*size, *where], engine, rewards) == 0
    out, _ = capsys.readouterr()
    assert "== micro-six_words-3x2-default: 3 tasks, 2 samples of each" in out
    written = json.loads((tmp_path / "out" / "judges-micro-six_words-default.json").read_text())
    assert list(written["judges"])[:4] == ["verifier", "written", "probability", "reward"]
    assert list(written["pairwise"]) == ["by text"]
    assert written["judges"]["reward"]["answers"] == 6
    before = engine.calls
    assert bench.main([*size, *where], engine, rewards) == 0
    assert (engine.calls, capsys.readouterr().out) == (before, out)


def test_a_wrong_order_is_refused_before_anything_is_drawn(tmp_path, capsys):
    engine = ScriptedEngine("x")
    assert bench.main(["micro", "--judges", "written,oracle", "--store", str(tmp_path / "r.db")], engine) == 2
    assert "no judge is called 'oracle'" in capsys.readouterr().err
    assert engine.calls == 0


async def test_tasks_without_a_verifier_are_judged_by_models_alone(tmp_path):
    bare = [replace(t, verifier=None) for t in TASKS[:2]]
    pool = await drawn_pool(tmp_path, bare, 2, replies=answer)
    async with Session(ScriptedEngine(Model(knows)), store=url(tmp_path)) as session:
        found = await bench.measured(pool, session, bench.judges(64, reward=False), None, {})
    assert list(found.results) == ["written", "probability", "mean", "least", "cascade"]


async def test_an_interrupted_tournament_goes_on_where_it_was(tmp_path):
    pool = await drawn_pool(tmp_path, TASKS, 4, replies=answer)
    broken = Model(knows)

    def fails(call):
        if broken.judged > 9:
            raise EngineUnavailable("gone")
        return broken(call)

    with pytest.raises(Exception, match="gone"):
        async with Session(ScriptedEngine(fails), store=url(tmp_path), attempts=1) as session:
            await judges_pairs.tournament(session, pool, "by text", {"by": "text"})
    model = Model(knows)
    async with Session(ScriptedEngine(model), store=url(tmp_path)) as session:
        found = await judges_pairs.tournament(session, pool, "by text", {"by": "text"})
    assert found.ends["right"].value == 1
    assert 0 < model.judged < 2 * 3 * len(TASKS)
