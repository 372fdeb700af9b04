"""Episodes under a run's record: what is done once, what a resumed run does, and what becomes of a bad environment."""

import json
import re
import subprocess
import sys

import pytest

from burnish import (
    BurnishError,
    ConfigError,
    EngineUnavailable,
    GenerationFailed,
    RetrievalFailed,
    Task,
    VerifierFailed,
    make_verifier,
)
from burnish.agents.episode import Episode, cut
from burnish.core.environment import Environment, Observation
from burnish.environments import ENVIRONMENTS, Shop, Sql, Toolbox, environment_maker
from burnish.environments.actions import read_call
from burnish.graphs.episode_settings import EpisodeSettings
from tests.environment_kit import Faulty, Noted, log, playing
from tests.helpers import rows, session
from tests.test_docs import ROOT, blocks, burnish

TASK = Task(prompt="Reach 3.", reference=3)


__all__ = ["log"]


async def failing(work):
    """The error with which a run ends."""
    with pytest.raises(BurnishError) as failed:
        await work
    return failed.value


async def taking(ctx, actions, make=Noted, **options):
    """Take the actions, and ask the model before each; what was seen, as text."""
    async with Episode(ctx.scope("game"), make, **options) as episode:
        seen = [(await episode.reset()).text]
        for action in actions:
            await ctx.generate(f"before {action}")
            seen.append((await episode.step(action)).text)
        return "\n".join(seen)


async def interrupted(path, actions, at, make=Noted):
    """Run until the engine is gone before the action number `at`; the run's id."""
    calls = iter(range(99))
    gone = EngineUnavailable("gone")
    ids: list[str] = []
    async with session(path, lambda call: gone if next(calls) == at else "on") as open_session:
        await failing(open_session.run(playing(lambda ctx: taking(ctx, actions, make)), TASK, on_start=ids.append))
    return ids[0]


async def resumed(path, run_id, actions, make=Noted):
    async with session(path, "on") as open_session:
        return await open_session.resume(run_id, playing(lambda ctx: taking(ctx, actions, make)))


async def test_each_step_is_recorded_once(tmp_path, log):
    async with session(tmp_path, "on") as open_session:
        result = await open_session.run(playing(lambda ctx: taking(ctx, ["add 1", "add 2"])), TASK)
    assert result.answer == "sum 0\nsum 1\nsum 3"
    assert log == ["reset", "add 1", "add 2", "close"]
    kinds = rows(tmp_path, "SELECT kind, position FROM call WHERE kind <> 'generate' ORDER BY seq")
    assert kinds == [("reset", "/play@1/game/reset"), ("step", "/play@1/game/step0"), ("step", "/play@1/game/step1")]


async def test_a_resumed_episode_does_recorded_actions_again_only_to_go_on(tmp_path, log):
    actions = ["add 1", "add 2", "add 3"]
    run_id = await interrupted(tmp_path, actions, 2)
    assert log == ["reset", "add 1", "add 2", "close"]
    log.clear()
    result = await resumed(tmp_path, run_id, actions)
    assert result.answer == "sum 0\nsum 1\nsum 3\nsum 6"
    assert log == ["reset", "add 1", "add 2", "add 3", "close"]


async def test_an_episode_that_is_recorded_whole_touches_nothing(tmp_path, log):
    async def play(ctx):
        seen = await taking(ctx, ["add 1", "add 2"])
        await ctx.generate("after")
        return seen

    replies = {"after": EngineUnavailable("gone")}
    ids: list[str] = []
    async with session(tmp_path, lambda call: replies.get(call.text, "on")) as open_session:
        await failing(open_session.run(playing(play), TASK, on_start=ids.append))
    log.clear()
    async with session(tmp_path, "on") as open_session:
        result = await open_session.resume(ids[0], playing(play))
    assert result.answer == "sum 0\nsum 1\nsum 3"
    assert log == ["close"]


async def test_an_environment_may_restore_itself(tmp_path, log):
    class Restored(Noted):
        async def restore(self, task, seed, actions):
            self.log.append(f"restore {task.prompt} {actions}")
            self.sum = 3

    actions = ["add 1", "add 2", "add 3"]
    run_id = await interrupted(tmp_path, actions, 2, Restored)
    log.clear()
    result = await resumed(tmp_path, run_id, actions, Restored)
    assert result.answer.endswith("sum 6")
    assert log == ["restore Reach 3. ['add 1', 'add 2']", "add 3", "close"]


async def test_a_world_that_changed_is_a_failure_of_the_episode(tmp_path, log):
    actions = ["add 1", "add 2"]
    run_id = await interrupted(tmp_path, actions, 1)

    class Changed(Noted):
        async def reset(self, task, seed):
            await super().reset(task, seed)
            return Observation(text="sum zero")

    error = await failing(resumed(tmp_path, run_id, actions, Changed))
    assert isinstance(error, GenerationFailed)
    assert error.code == "environment_changed"
    assert "'sum zero', before: 'sum 0'" in error.message


async def test_other_actions_than_recorded_are_a_mismatch(tmp_path):
    run_id = await interrupted(tmp_path, ["add 1", "add 2"], 1)

    async def play(ctx):
        async with Episode(ctx.scope("game"), Noted) as episode:
            await episode.reset()
            await ctx.generate("before add 1")
            return (await episode.step("add 5")).text

    async with session(tmp_path, "on") as open_session:
        error = await failing(open_session.resume(run_id, playing(play)))
    assert error.code == "replay_mismatch"


@pytest.mark.parametrize(
    ("action", "code"), [("raise", "environment_error"), ("hang", "environment_timeout"), ("lie", "environment_error")]
)
async def test_a_bad_environment_is_a_failure_that_is_recorded(tmp_path, log, action, code):
    async def play(ctx):
        with pytest.raises(GenerationFailed) as failed:
            await taking(ctx, ["add 1", action], Faulty, seconds=0.2)
        await ctx.generate(f"after {failed.value.code}")
        return failed.value.code

    ids: list[str] = []
    async with session(tmp_path, lambda c: EngineUnavailable("gone") if "after" in c.text else "on") as open_session:
        error = await failing(open_session.run(playing(play), TASK, on_start=ids.append))
    assert error.code == "engine_unavailable"
    stored = rows(tmp_path, "SELECT state, error_code FROM call WHERE kind = 'step' ORDER BY seq")
    assert stored == [("ok", ""), ("error", code)]
    log.clear()
    async with session(tmp_path, "on") as open_session:
        assert (await open_session.resume(ids[0], playing(play))).answer == code
    assert log == []


@pytest.mark.parametrize("error", [VerifierFailed("x", code="no_database"), RetrievalFailed("x", code="no_database")])
async def test_what_failed_at_a_boundary_keeps_its_code(tmp_path, error):
    class Broken(Noted):
        async def step(self, action):
            raise error

    async with session(tmp_path, "on") as open_session:
        failed = await failing(open_session.run(playing(lambda ctx: taking(ctx, ["add 1"], Broken)), TASK))
    assert isinstance(failed, GenerationFailed)
    assert failed.code == "no_database"


async def test_a_task_that_lacks_something_is_the_users_to_mend(tmp_path):
    async with session(tmp_path, "on") as open_session:
        assert isinstance(await failing(open_session.run(playing(lambda ctx: taking(ctx, [], Sql)), TASK)), ConfigError)


async def test_what_is_too_long_is_cut_visibly(tmp_path):
    async with session(tmp_path, "on") as open_session:
        result = await open_session.run(playing(lambda ctx: taking(ctx, ["shout"], Faulty, longest=100)), TASK)
        seen = result.answer.split("\n", 1)[1]
        assert len(seen) < 200
        assert seen.startswith("xxx")
        assert "99903 of 100003 characters left out" in seen
        assert seen.endswith("END")
        odd = await open_session.run(playing(lambda ctx: taking(ctx, ["surrogate"], Faulty)), TASK)
        assert odd.answer.endswith("\\ud800\\x00")


@pytest.mark.parametrize("longest", [1, 2, 3, 10, 50])
def test_cut(longest):
    assert cut("abc" * longest, 3 * longest) == "abc" * longest
    text = cut("a" * 500 + "b" * 500, longest)
    assert f"[{1000 - longest} of 1000 characters left out]" in text
    assert text.count("a") - "characters".count("a") == longest - longest // 3


def test_environments_by_name(tmp_path, monkeypatch):
    assert set(ENVIRONMENTS) == {"shop", "sql"}
    assert isinstance(environment_maker("sql")(), Sql)
    assert isinstance(environment_maker('{"name": "shop", "page_size": 3}')(), Shop)
    assert environment_maker({"name": "sql", "rows": 3})().rows == 3
    assert environment_maker(Noted) is Noted
    make = environment_maker("sql")
    assert make() is not make()
    (tmp_path / "mine.py").write_text(
        "from burnish.environments import Toolbox\n\n\ndef box(more=''):\n    return Toolbox(functions={'look' + more: str})\n"
    )
    monkeypatch.chdir(tmp_path)
    assert isinstance(environment_maker("mine.py:box")(), Toolbox)
    assert "lookup" in environment_maker({"name": "mine.py:box", "more": "up"})().functions


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("sqll", "no environment is called"),
        ("{", "no JSON"),
        ({"rows": 3}, "has no name"),
        ({"name": "sql", "rows": "many"}, "rows is 'many'"),
        ({"name": "sql", "_query": "x"}, "no argument _query"),
        (int, "makes no environment, but a int"),
        (3, "makes no environment"),
        (lambda needed: Noted(), "cannot be made"),
        (Noted(), "makes no environment"),
    ],
)
def test_what_is_no_environment(spec, message):
    with pytest.raises(ConfigError, match=message):
        environment_maker(spec)


def test_a_reward_by_name_is_checked_when_it_is_made():
    with pytest.raises(ConfigError, match="no environment is called"):
        make_verifier({"name": "environment_reward", "environment": "nowhere"})
    with pytest.raises(ConfigError, match="needs the argument environment"):
        make_verifier("environment_reward")


@pytest.mark.parametrize(
    ("action", "call"),
    [
        ("look[a b]", ("look", "a b")),
        (" Look[ x ] ", ("look", "x")),
        ("look[a]b]", ("look", "a]b")),
        ("look[a\nb]", ("look", "a\nb")),
    ]
    + [(bad, None) for bad in ("look", "look[a", "look [a]", "[a]", "look[a] then", "")],
)
def test_a_call_is_read_as_a_whole(action, call):
    assert read_call(action) == call


async def test_a_toolbox():
    async def age(text):
        """How old something is.

        In years.
        """
        return {"oak": 212}[text]

    box = Toolbox(functions={"age": age, "upper": str.upper})
    assert isinstance(box, Environment)
    assert [t.usage for t in box.tools] == ["age[text]", "upper[text]", "answer[text]"]
    assert box.tools[0].about == "How old something is."
    assert (await box.step("age[oak]")).text == "212"
    assert (await box.step("upper[oak]")).text == "OAK"
    assert (await box.step("age[elm]")).text == "The tool failed: KeyError: 'elm'"
    for bad in ("age", "weigh[oak]", "answer[]"):
        assert (await box.step(bad)).refused
    end = await box.step("answer[212 years]")
    assert (end.done, end.answer) == (True, "212 years")
    assert (await box.reward(TASK, "212")).outcome == "abstain"
    assert box.version != Toolbox(functions={"age": age}).version
    for name in ("answer", "Look", "a b", ""):
        with pytest.raises(ConfigError, match="is no tool"):
            Toolbox(functions={name: str})


PAGE = (ROOT / "docs" / "environments.md").read_text()


def test_the_page_runs(tmp_path):
    for name, code in blocks(PAGE).items():
        (tmp_path / name).write_text(code)
    commands = [c for c in re.findall(r"```sh\n(burnish run .*?)\n```", PAGE, re.S) if "scripted" in c]
    assert len(commands) == 2
    for command in commands:
        out = burnish(command, tmp_path)
        assert out.returncode == 0, out.stderr
        assert f"prints `{out.stdout.strip()}`" in PAGE
    out = subprocess.run([sys.executable, "tasks.py"], cwd=tmp_path, capture_output=True, text=True)
    assert f"prints `{out.stdout.strip()}`" in PAGE
    for line in (tmp_path / "shop.jsonl").read_text().splitlines():
        Shop().check(Task.from_json(json.loads(line)))


def test_every_setting_of_the_page_exists():
    named = set(re.findall(r"`(\w+)=", PAGE)) - {"env"}
    assert named <= EpisodeSettings.model_fields.keys()
    for name in ("observation_chars", "history_chars", "attempt_chars", "step_seconds", "feedback", "rejected", "per_round"):
        assert f"`{name}`" in PAGE
        assert name in EpisodeSettings.model_fields
    assert EpisodeSettings(env="sql").steps == 10
