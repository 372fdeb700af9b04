"""Engines by name: from texts to an engine, and back to a stored recipe."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from burnish.core.engine import Engine
from burnish.core.errors import ConfigError
from burnish.core.prompt import Prompt
from burnish.core.sampling import Sampling
from burnish.engine.registry import ENGINES, capabilities, from_recipe, make_engine, recipe
from burnish.engine.scripted import CAPABILITIES, ScriptedEngine

OWN = """
from __future__ import annotations
from typing import Literal, Mapping
from burnish.engine.scripted import ScriptedEngine

TABLE = {"": ["from a table"]}

def reply(call):
    return f"own {call.seed}"

def engine(model: str | None = None, *, n: int = 1, mode: Literal["a", "b"] = "a", fast: bool = False,
           share: float | None = 0.5, extra: Mapping[str, int] | None = None, odd: Unknown = None):
    return ScriptedEngine(f"{n!r} {mode} {fast!r} {share!r} {extra!r}", model=model or "own")

def strict(*, n: int):
    return ScriptedEngine(str(n))

def not_an_engine():
    return 3

NUMBER = 3
"""


@pytest.fixture
def own(tmp_path: Path) -> str:
    """Path of a file with engines and replies of the user's own."""
    path = tmp_path / "own.py"
    path.write_text(OWN)
    return str(path)


async def said(engine: Engine, seed: int = 0) -> str:
    return (await engine.generate(Prompt.of("What is 2 + 2?"), Sampling(seed=seed))).text


async def test_scripted_by_name_with_arguments_as_text() -> None:
    engine = make_engine("scripted", None, {"accuracy": "1", "latency": "0.0", "tokens_per_second": "none"})
    assert isinstance(engine, ScriptedEngine)
    assert await said(engine) == "4"
    assert make_engine("scripted", "pretty", {}).info.model == "pretty"


async def test_replies_of_ones_own(own: str) -> None:
    assert await said(make_engine("scripted", None, {"replies": f"{own}:reply"}), 7) == "own 7"
    assert await said(make_engine("scripted", None, {"replies": f"{own}:TABLE"})) == "from a table"


async def test_an_engine_of_ones_own_with_typed_arguments(own: str) -> None:
    args = {"n": "3", "mode": "b", "fast": "true", "share": "none", "extra": '{"x": 1}'}
    engine = make_engine(f"{own}:engine", "m", args)
    assert await said(engine) == "3 b True None {'x': 1}"
    assert engine.info.model == "m"
    assert await said(make_engine(f"{own}:engine", None, {"n": 4})) == "4 a False 0.5 None"


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ({"accuracy": "much"}, "accuracy is 'much'"),
        ({"max_running": "1.5"}, "max_running"),
        ({"speed": "1"}, "takes no speed"),
        ({"accuracy": "7"}, "accuracy is 7"),
        ({"replies": "nonsense"}, "nonsense"),
        ({"replies": "burnish:__version__x"}, "__version__x"),
    ],
)
def test_wrong_arguments_are_named_with_those_that_fit(args: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as error:
        make_engine("scripted", None, args)
    assert error.value.hint


def test_the_hint_lists_arguments_with_their_kinds() -> None:
    with pytest.raises(ConfigError) as error:
        make_engine("scripted", None, {"speed": "1"})
    assert "accuracy (float)" in error.value.hint
    assert "max_running (int | None)" in error.value.hint


def test_an_unknown_engine_is_told_which_there_are() -> None:
    with pytest.raises(ConfigError, match="'vlm'") as error:
        make_engine("vlm")
    assert all(name in error.value.hint for name in ENGINES)


@pytest.mark.parametrize(
    ("attribute", "args", "message"),
    [
        ("not_an_engine", {}, "int"),
        ("NUMBER", {}, "int"),
        ("strict", {}, "n"),
        ("nowhere", {}, "nowhere"),
        ("engine", {"odd": "1"}, "odd"),
        ("engine", {"mode": "c"}, "mode"),
        ("engine", {"extra": "{"}, "extra"),
    ],
)
def test_a_factory_that_does_not_fit_is_a_config_error(own: str, attribute: str, args: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make_engine(f"{own}:{attribute}", None, args)


def test_a_model_that_no_parameter_takes_is_refused(own: str) -> None:
    with pytest.raises(ConfigError, match="no model"):
        make_engine(f"{own}:strict", "m", {"n": "1"})


def test_a_file_that_fails_to_import_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_text("1 / 0")
    with pytest.raises(ConfigError, match="ZeroDivisionError"):
        make_engine(f"{tmp_path}/bad.py:engine")
    with pytest.raises(ConfigError, match=r"none\.py"):
        make_engine(f"{tmp_path}/none.py:engine")


async def test_a_recipe_makes_the_same_engine_in_another_folder(
    own: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(Path(own).parent)
    made = recipe("scripted", None, {"replies": "own.py:reply", "latency": "0"})
    other = tmp_path / "other"
    other.mkdir()
    monkeypatch.chdir(other)
    again = from_recipe(json.loads(json.dumps(made)))
    assert await said(again, 5) == "own 5"


@pytest.mark.parametrize("rubbish", [{}, {"engine": 3}, {"engine": "scripted", "args": [1]}, {"engine": "scripted", "model": 1}])
def test_a_rubbish_recipe_is_refused(rubbish: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="recipe"):
        from_recipe(rubbish)


def test_a_recipe_works_in_another_process(own: str) -> None:
    code = (
        "import asyncio, json, sys; from burnish.core.prompt import Prompt; from burnish.core.sampling import Sampling;"
        "from burnish.engine.registry import from_recipe;"
        "engine = from_recipe(json.loads(sys.argv[1]));"
        "print(asyncio.run(engine.generate(Prompt.of('x'), Sampling(seed=9))).text)"
    )
    made = json.dumps(recipe("scripted", None, {"replies": f"{own}:reply"}))
    done = subprocess.run([sys.executable, "-c", code, made], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "own 9\n"


def test_what_is_said_of_built_in_engines_is_true() -> None:
    assert capabilities()["scripted"] == CAPABILITIES == make_engine("scripted").info.capabilities
    assert all(kind.description for kind in ENGINES.values())


def test_making_a_scripted_engine_imports_nothing_heavy() -> None:
    code = (
        "import sys; from burnish.engine.registry import make_engine; make_engine('scripted', None, {'accuracy': '1'});"
        "print([m for m in ('torch', 'vllm', 'langgraph', 'sqlalchemy', 'litellm', 'transformers') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"
