"""Secrets are not stored: not in configuration, not in errors, however they came there."""

import json
import sqlite3
from pathlib import Path

import pytest
import zstandard

from burnish import ConfigError, ScriptedEngine, Session, Task
from burnish.core import redact as rules
from burnish.core.errors import GenerationFailed
from burnish.core.redact import WITHHELD, also, is_withheld, redact, redact_json, redact_said, redact_text
from burnish.engine.registry import from_recipe
from burnish.engine.replies import Reply
from tests.cli_kit import burnish as burnish
from tests.helpers import session

SECRET = "Qx7-planted-Zr93-canary"
"""Of no known form: only where it stands tells that it is one."""
SHAPED = "sk-proj-" + "A1b2C3d4" * 4


def everything(path: Path) -> bytes:
    """All bytes of a database, its log's and its unpacked texts' too."""
    found = b"".join(f.read_bytes() for f in sorted(path.glob("runs.db*")))
    database = sqlite3.connect(path / "runs.db")
    for codec, size, data in database.execute("SELECT codec, size, data FROM blob"):
        found += zstandard.ZstdDecompressor().decompress(data, max_output_size=size) if codec == "zstd" else data
    found += repr(
        [database.execute(f"SELECT * FROM {t}").fetchall() for t in ("run", "call", "step", "verdict", "decision")]
    ).encode()
    database.close()
    return found


def failing_graph(headers=None):
    from langgraph.graph import END, START, StateGraph
    from langgraph.runtime import Runtime

    from burnish.core.context import Context
    from burnish.graphs.nodes import State

    async def act(state, runtime):
        async def perform():
            return 1

        await runtime.context.effect("http", {"url": f"https://me:{SECRET}@x.org", "headers": {"Authorization": SECRET}}, perform)
        raise RuntimeError(f"401 from https://me:{SECRET}@x.org with api_key={SECRET} and Authorization: Bearer {SHAPED}")

    act.__annotations__ = {"state": State, "runtime": Runtime[Context]}
    builder = StateGraph(State, context_schema=Context)
    builder.add_node("act", act)
    builder.add_edge(START, "act")
    builder.add_edge("act", END)
    return builder.compile()


async def test_nothing_of_a_planted_secret_is_in_the_database(tmp_path):
    recipe = {"engine": "mine", "model": None, "args": {"api_key": SECRET, "base_url": f"https://u:{SECRET}@host/v1"}}
    engine = ScriptedEngine("x", settings={"headers": {"X-Api-Key": SECRET}, "note": SHAPED})
    graph = f"{__file__}:failing_graph"
    async with Session(engine, store=f"sqlite:///{tmp_path}/runs.db", recipes={"default": recipe}) as s:
        with pytest.raises(Exception, match="401"):
            await s.run(graph, "go", settings={"headers": {"Cookie": SECRET}})
        judged = Task(prompt="go", verifier={"name": "regex", "pattern": SHAPED})
        async for _ in s.batch("best_of_n", [judged], settings={"n": 1}, about={"plan": {"password": SECRET}}):
            pass
    stored = everything(tmp_path)
    assert SECRET.encode() not in stored
    assert SHAPED.encode() not in stored
    assert stored.count(WITHHELD.encode()) >= 8
    assert b"x.org" in stored, "what is around a secret is kept"


async def test_errors_of_calls_and_verifiers_hold_none(tmp_path, monkeypatch):
    monkeypatch.setenv("ACME_API_KEY", SECRET)
    replies = iter([Reply(error=GenerationFailed(f"refused the key {SECRET}")), RuntimeError(f"bad {SECRET}"), "x"])

    def reply(call):
        made = next(replies)
        if isinstance(made, Exception):
            raise made
        return made

    task = Task(prompt="go", verifier=f"{__file__}:Raises")
    async with session(tmp_path, reply, attempts=1) as s:
        await s.run("best_of_n", task, settings={"n": 3, "width": 1, "stop_at_pass": False})
    stored = everything(tmp_path)
    assert SECRET.encode() not in stored
    assert b"refused the key [redacted]" in stored
    assert b"cannot log in with [redacted]" in stored


class Raises:
    name, version, oracle, judges_truncated = "raises", "1", False, False

    async def verify(self, task, candidate, ctx=None):
        import os

        raise RuntimeError(f"cannot log in with {os.environ['ACME_API_KEY']}")


async def test_what_models_read_and_write_is_kept_as_it_is(tmp_path):
    async with session(tmp_path, f"the password: {SHAPED}") as s:
        task = Task(prompt=f"repeat {SHAPED}", context={"token": SECRET})
        made = await s.run("single", task)
        reader = s.store.reader()
        assert (made.answer, reader.task(made.run_id)) == (f"the password: {SHAPED}", task)


async def test_a_run_works_with_a_secret_that_it_does_not_store_and_cannot_be_resumed_without(tmp_path):
    task = Task(prompt="go", verifier={"name": "regex", "pattern": SHAPED})
    async with session(tmp_path, f"see {SHAPED}") as s:
        made = await s.run("best_of_n", task, settings={"n": 1})
        assert made.verified
        with pytest.raises(ConfigError, match="held a secret"):
            await s.resume(made.run_id)
        with pytest.raises(ConfigError, match="held a secret"):
            await s.fork(made.run_id, "end")
        assert (await s.fork(made.run_id, "end", verifier="regex:see")).verified


async def test_an_engine_with_a_secret_in_its_settings_resumes_its_runs(tmp_path):
    engine = ScriptedEngine("x", settings={"api_key": SECRET})
    async with session(tmp_path, engine=engine) as s:
        run_id = (await s.run("single", "go")).run_id
        assert (await s.resume(run_id)).answer == "x"


def test_a_recipe_without_its_secret_says_what_is_missing():
    with pytest.raises(ConfigError, match="api_key") as caught:
        from_recipe({"engine": "scripted", "model": None, "args": {"api_key": WITHHELD}})
    assert "--engine-arg api_key" in caught.value.hint


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        (f"key {SHAPED} refused", "key [redacted] refused"),
        ("hf_" + "a" * 30, "[redacted]"),
        ("ghp_" + "a" * 36, "[redacted]"),
        ("AKIA" + "A" * 16, "[redacted]"),
        ("eyJhbGciOiJI.eyJzdWIiOiIx.abc_def", "[redacted]"),
        ("postgresql://me:pw@host/db", "postgresql://[redacted]@host/db"),
        ("Authorization: Bearer abcdefgh12345", "Authorization: Bearer [redacted]"),
        ("Authorization: Basic YTpiYmJiYg==", "Authorization: Basic [redacted]"),
        ('{"api_key": "abcdef", "n": 3}', '{"api_key": "[redacted]", "n": 3}'),
        ("password=hunter22 failed", "password=[redacted] failed"),
        ("-----BEGIN RSA PRIVATE KEY-----\nabc\n-----END RSA PRIVATE KEY-----\nrest", "[redacted]\nrest"),
        ("max_tokens: 4096 of tokens: 5000 at http://h:80/v1", "max_tokens: 4096 of tokens: 5000 at http://h:80/v1"),
        ("the task-1 said risk-free; token: none", "the task-1 said risk-free; token: none"),
        ("", ""),
    ],
)
def test_messages(text, kept):
    assert redact_text(text) == kept
    assert redact_text(kept) == kept, "again it is the same"


def test_configuration():
    plain = {"max_tokens": 3, "api_key_env": "MY_KEY", "token_prefix": True, "stop": ["a"], "prompt": SHAPED, "token": ""}
    assert redact(plain) is plain
    secret = {"args": [{"api-key": "a", "x_api_key": "b", "hf_token": "c", "url": "http://a:b@c"}], "password": 3}
    made = redact(secret)
    assert made == {
        "args": [{"api-key": WITHHELD, "x_api_key": WITHHELD, "hf_token": WITHHELD, "url": f"http://{WITHHELD}@c"}],
        "password": 3,
    }
    assert redact(made) is made
    assert (is_withheld(made), is_withheld(plain), is_withheld({"prompt": WITHHELD})) == (True, False, False)
    assert json.loads(redact_json(json.dumps(secret))) == made
    assert redact_said({"error": f'it said "token": "{SECRET}\\"', "n": [1, None]}) == {
        "error": f'it said "token": "{WITHHELD}"',
        "n": [1, None],
    }


def test_patterns_of_a_project(burnish, monkeypatch):
    monkeypatch.setattr(rules, "_added", [])
    Path("burnish.toml").write_text('redact = ["acme-[0-9]{6}"]\n')
    run = ("run", "single", "go", "--engine", "scripted", "--set", "system=acme-123456", "--json")
    made = burnish(*run)
    assert made.status == 0, made.err
    shown = burnish("runs", "show", made.data["run_id"], "--json").data
    assert shown["settings"] == {"system": WITHHELD}
    for wrong in ('redact = ["["]', 'redact = ["a*"]', 'redact = "x"'):
        Path("burnish.toml").write_text(wrong)
        assert burnish(*run).status == 2
    with pytest.raises(ConfigError):
        also(["("])
