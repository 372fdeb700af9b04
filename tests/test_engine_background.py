"""Runs on an engine in the background: when one stands in for vLLM, what is stored of it, and how such runs go on."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from burnish.engine import serve_command, up_state
from burnish.engine import up as background
from tests.cli_kit import Done
from tests.cli_kit import burnish as burnish
from tests.test_engine_up import command

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads /proc")

Program = Callable[..., Done]
JUDGE = '{"name": "llm_judge", "by": "probability"}'


@pytest.fixture
def home(burnish: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home of its own for engines, with two models; what stands for `vllm serve` is a small server."""
    place = tmp_path / "home"
    monkeypatch.setenv("BURNISH_HOME", str(place))
    monkeypatch.setattr(serve_command, "vllm_command", lambda path, *, name, port, args: command(name)(port))
    for model in ("tiny", "other"):
        (tmp_path / model).mkdir()
        (tmp_path / model / "config.json").write_text("{}")
    yield place
    for name in up_state.names():
        background.down(name)


def planned(burnish: Program, *flags: str) -> Done:
    done = burnish("run", "single", "What is 17 + 25?", "--dry-run", "--json", *flags)
    assert done.status == 0, done.out
    return done


def test_it_stands_in_for_vllm_where_it_fits(burnish: Program, home: Path, tmp_path: Path) -> None:
    assert planned(burnish, "--model", "tiny").data["engine"]["engine"] == "vllm"
    assert not home.exists()
    assert burnish("engine", "up", "--model", "tiny", "--engine-arg", "max_model_len=64").status == 0
    fits = [("--model", "tiny"), ("--model", str(tmp_path / "tiny"), "--engine-arg", "max_model_len=64")]
    for flags in fits:
        done = planned(burnish, *flags)
        assert done.data["engine"] == {
            "engine": "background",
            "model": str(tmp_path / "tiny"),
            "args": {"name": "tiny", "args": {"max_model_len": "64"}},
        }
        assert done.err.startswith("engine: tiny in the background, on http://127.0.0.1:")
        assert len(done.err.splitlines()) == 1
    not_fitting = {
        "serves": ("--model", "other"),
        "was not started with max_num_seqs=8": ("--model", "tiny", "--engine-arg", "max_num_seqs=8"),
        "does not tell its tokens": ("--model", "tiny", "--verifier", JUDGE),
    }
    for why, flags in not_fitting.items():
        done = planned(burnish, *flags)
        assert done.data["engine"]["engine"] == "vllm"
        assert why in done.err
    named = planned(burnish, "--engine", "vllm", "--model", "tiny")
    assert (named.data["engine"]["engine"], named.err) == ("vllm", "")


def test_the_file_decides_for_both(burnish: Program, home: Path, tmp_path: Path) -> None:
    (tmp_path / "burnish.toml").write_text('engine = "vllm"\n[engines.vllm]\nmodel = "tiny"\nmax_num_seqs = 8\n')
    assert burnish("engine", "up", "--json").data["args"] == {"max_num_seqs": "8"}
    assert planned(burnish).data["engine"]["engine"] == "background"
    (tmp_path / "burnish.toml").write_text('engine = "scripted"\n')
    assert planned(burnish).data["engine"]["engine"] == "scripted"


def test_the_engine_that_ran_is_stored_and_a_run_goes_on_with_it_alone(burnish: Program, home: Path, tmp_path: Path) -> None:
    up = burnish("engine", "up", "fast", "--model", "tiny", "--json").data
    first = burnish("run", "single", "What is 17 + 25?", "--model", "tiny", "--json")
    assert (first.status, first.data["answer"]) == (0, "It is 42."), first.out
    stored = burnish("runs", "show", first.data["run_id"], "--json").data["engines"]["default"]
    assert (stored["kind"], stored["model"]) == ("background", str(tmp_path / "tiny"))
    assert stored["revision"].startswith("sampled-")
    assert "engine: default: background" in burnish("runs", "show", first.data["run_id"]).out
    assert up["url"] not in json.dumps(stored)

    (tmp_path / "gate.py").write_text(GATE)
    waiting = burnish("run", "gate.py:graph", "Go?", "--model", "tiny", "--json")
    assert waiting.status == 5, waiting.out
    run_id = waiting.error["run_id"]
    (tmp_path / "open").touch()

    assert burnish("engine", "down").status == 0
    gone = burnish("runs", "resume", run_id, "--json")
    assert (gone.status, gone.error["message"]) == (5, "the engine fast is not in the background")
    assert gone.error["hint"] == f"burnish engine up fast --model {tmp_path / 'tiny'}"

    assert burnish("engine", "up", "fast", "--model", "other").status == 0
    other = burnish("runs", "resume", run_id, "--json")
    assert other.status == 5
    assert "is another one" in other.error["message"]
    assert other.error["hint"].startswith("burnish engine down fast, then burnish engine up fast")
    burnish("engine", "down")

    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", up["port"]))
        taken.listen()
        again = burnish("engine", "up", "fast", "--model", "tiny", "--json").data
    assert again["port"] != up["port"]
    assert burnish("runs", "resume", run_id, "--json").data["answer"] == "It is 42."


def test_by_its_name_or_as_the_only_one(burnish: Program, home: Path, tmp_path: Path) -> None:
    none = burnish("run", "single", "x", "--engine", "background", "--json")
    assert (none.status, none.error["hint"]) == (5, "burnish engine up")
    burnish("engine", "up", "a", "--model", "tiny")
    assert burnish("run", "single", "x", "--engine", "background").out == "It is 42.\n"
    assert burnish("run", "single", "x", "--engine", "background", "--model", "other").status == 5
    burnish("engine", "up", "b", "--model", "other")
    two = burnish("run", "single", "x", "--engine", "background", "--json")
    assert (two.status, "name=a" in two.error["hint"]) == (2, True)
    assert burnish("run", "single", "x", "--engine", "background", "--engine-arg", "name=b").status == 0


GATE = """
from pathlib import Path
from typing import TypedDict

from burnish import Context
from burnish.core.errors import EngineUnavailable
from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime


class State(TypedDict, total=False):
    prompt: str
    answer: str


def graph():
    async def ask(state: State, runtime: Runtime[Context]) -> State:
        done = await runtime.context.generate("What is 17 + 25?", key="first")
        if not Path("open").exists():
            raise EngineUnavailable("it has gone")
        return {"answer": done.text}

    builder = StateGraph(State, context_schema=Context)
    builder.add_node("ask", ask)
    builder.add_edge(START, "ask")
    builder.add_edge("ask", END)
    return builder
"""
