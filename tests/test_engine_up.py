"""Engines in the background: real keepers and processes, a stand-in for `vllm serve` that speaks as much of it as is asked."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from burnish.core.errors import ConfigError, EngineUnavailable
from burnish.engine import guardian, serve_command, up_state
from burnish.engine import up as background
from burnish.engine.server import ServerEngine
from tests.cli_kit import burnish as burnish
from tests.test_guardian import gone

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads /proc")

SERVER = """
import http.server, json, os, subprocess, sys
name, port, calls = sys.argv[1], int(sys.argv[2]), [0]
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print("child", child.pid, "key" if os.environ["VLLM_API_KEY"] in " ".join(sys.argv) else "no key", flush=True)
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        status, body = 404, ""
        if self.path == "/metrics":
            status, body = 200, f"vllm:num_requests_running 0.0\\nvllm:request_success_total{{m=1}} {calls[0]}.0\\n"
        elif self.path == "/use":
            calls[0] += 1
            status = 200
        elif self.path == "/v1/models":
            right = self.headers["Authorization"] == "Bearer " + os.environ["VLLM_API_KEY"]
            status, body = (200, json.dumps({"data": [{"id": name}]})) if right else (401, "")
        self.reply(status, body.encode())
    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        said, usage = {"role": "assistant", "content": "It is 42."}, {"prompt_tokens": 5, "completion_tokens": 4}
        choice = {"index": 0, "delta" if asked.get("stream") else "message": said, "finish_reason": "stop"}
        body = json.dumps({"choices": [choice], "usage": usage})
        if asked.get("stream"):
            self.reply(200, f"data: {body}\\n\\ndata: [DONE]\\n\\n".encode(), "text/event-stream")
        else:
            self.reply(200, body.encode())
    def reply(self, status, body, kind="application/json"):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_):
        pass
http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()
"""


def command(name: str, code: str = SERVER) -> Callable[[int], tuple[list[str], dict[str, str]]]:
    return lambda port: ([sys.executable, "-c", code, name, str(port)], {})


def start(name: str = "one", *, model: str = "/m", idle_s: float | None = None, code: str = SERVER):
    return background.up(name, model, command(name, code), idle_s=idle_s, say=lambda _: None)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    place = tmp_path / "home"
    monkeypatch.setenv("BURNISH_HOME", str(place))
    yield place
    for name in up_state.names():
        background.down(name)


def processes(found: up_state.BackgroundEngine) -> list[int]:
    child = int(Path(found.log).read_text().split()[1])
    return [found.keeper, found.server, child]


def test_up_is_idempotent_and_down_leaves_nothing(home: Path) -> None:
    found, started = start()
    assert started
    assert found.ready
    again, started = start()
    assert not started
    assert again == found
    pids = processes(found)
    assert all(guardian.start_time(pid) for pid in pids)
    assert background.condition("one") == "ready"

    assert background.down("one")
    assert all(gone(pid, 0) for pid in pids)
    assert up_state.names() == []
    assert background.engine("one") is None
    assert not background.down("one")


def test_only_the_user_can_read_the_key_and_only_who_has_it_is_served() -> None:
    found, _ = start()
    assert stat.S_IMODE(found.key_file.stat().st_mode) == 0o600
    assert stat.S_IMODE(found.key_file.parent.stat().st_mode) == 0o700
    assert len(found.key_file.read_text()) > 30
    assert "no key" in Path(found.log).read_text()
    for pid in (found.keeper, found.server):
        assert found.key_file.read_text() not in Path(f"/proc/{pid}/cmdline").read_text()
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"{found.url}/models", timeout=5)
    refused.value.close()
    assert refused.value.code == 401


def test_of_two_at_once_one_starts_it() -> None:
    results: list[tuple[up_state.BackgroundEngine, bool]] = []
    threads = [threading.Thread(target=lambda: results.append(start())) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(started for _, started in results) == [False, False, True]
    assert len({found.server for found, _ in results}) == 1


def test_several_by_name_and_another_model_under_the_same_name_is_refused() -> None:
    one, _ = start("one")
    two, _ = start("two", model="/other")
    assert one.port != two.port
    with pytest.raises(ConfigError, match="is there already, with the model /m"):
        start("one", model="/other")
    background.down("one")
    assert background.condition("two") == "ready"


def test_it_ends_by_itself_when_it_is_not_used_and_not_before() -> None:
    found, _ = start(idle_s=1.5)
    pids = processes(found)
    until = time.monotonic() + 3
    while time.monotonic() < until:
        urllib.request.urlopen(f"http://127.0.0.1:{found.port}/use", timeout=5).close()
        time.sleep(0.2)
    assert background.condition("one") == "ready"
    assert all(gone(pid, 30) for pid in pids)
    assert "not used for 1.5 s" in Path(found.log).read_text()
    assert up_state.names() == []


def test_a_killed_keeper_takes_its_server_along_and_is_recognised() -> None:
    found, _ = start()
    pids = processes(found)
    os.kill(found.keeper, signal.SIGKILL)
    assert all(gone(pid, 30) for pid in pids)
    assert background.condition("one") == "dead"
    again, started = start()
    assert started
    assert again.keeper != found.keeper


def test_a_process_that_got_a_left_id_is_not_touched() -> None:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as other:
        place = up_state.folder("one")
        place.mkdir()
        began = guardian.start_time(other.pid) or 0
        up_state.write(
            up_state.BackgroundEngine(
                name="one", model="/m", port=1, keeper=other.pid, keeper_started=began, server=other.pid, server_started=began + 1
            )
        )
        assert background.condition("one") == "dead"
        assert background.down("one")
        assert not place.exists()
        assert other.poll() is None
        other.kill()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"name": "one"}', '{"name":"one","model":"m","port":1,"server":-1}', "\0"])
def test_a_damaged_state_is_none(text: str) -> None:
    up_state.folder("one").mkdir()
    (up_state.folder("one") / "state.json").write_text(text)
    assert up_state.read("one") is None
    assert background.condition("one") == "dead"
    assert background.down("one")
    assert up_state.names() == []


def test_a_server_that_does_not_start_leaves_its_log_alone() -> None:
    with pytest.raises(EngineUnavailable, match="before it was ready") as error:
        start(code="print('no such weights'); raise SystemExit(3)")
    assert error.value.hint == "burnish engine logs one"
    assert "no such weights" in up_state.log_of("one").read_text()
    assert up_state.names() == []


def test_down_ends_one_that_is_only_starting() -> None:
    errors: list[BaseException] = []

    def starting() -> None:
        try:
            start(code="import time; time.sleep(600)")
        except EngineUnavailable as e:
            errors.append(e)

    thread = threading.Thread(target=starting)
    thread.start()
    while not ((state := up_state.read("one")) and state.server):
        time.sleep(0.02)
    assert background.condition("one") == "starting"
    assert background.down("one")
    thread.join(60)
    assert len(errors) == 1
    assert gone(state.server, 0)


@pytest.mark.parametrize("name", ["", "../x", ".hidden", "a b", "x" * 65])
def test_names_stay_within_the_folder(name: str) -> None:
    with pytest.raises(ConfigError, match="cannot be called"):
        start(name)


async def test_the_key_comes_out_of_a_file(tmp_path: Path) -> None:
    engine = ServerEngine("http://127.0.0.1:9/v1", api_key_file=str(tmp_path / "none"))
    with pytest.raises(ConfigError, match="holds no key"):
        await engine.start()
    with pytest.raises(ConfigError, match="exclude each other"):
        ServerEngine("http://127.0.0.1:9/v1", api_key_file="f", api_key_env="KEY")


def test_the_command_listens_on_loopback_whatever_is_given() -> None:
    for key in ("host", "port", "api_key", "served-model-name", "a b"):
        with pytest.raises(ConfigError, match="not open to choice"):
            serve_command.vllm_command("/m", name="n", port=1, args={key: "x"})
    words, _ = serve_command.vllm_command("/m", name="n", port=1, args={"max_model_len": "64", "enable_x": "false"})
    assert "--max-model-len=64" in words
    assert "--no-enable-x" in words
    assert words[-4:] == ["--host", "127.0.0.1", "--port", "1"]


def test_the_command_line(burnish, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BURNISH_HOME", str(home))
    monkeypatch.setattr(serve_command, "vllm_command", lambda path, *, name, port, args: command(name)(port))
    (tmp_path / "tiny").mkdir()
    (tmp_path / "tiny" / "config.json").write_text("{}")
    assert burnish("engine", "status", "--json").data == []
    up = burnish("engine", "up", "--model", "tiny", "--engine-arg", "max_model_len=64", "--json")
    assert up.status == 0
    assert (up.data["name"], up.data["started"], up.data["idle_s"]) == ("tiny", True, 1800)
    key = Path(up.data["engine_args"]["api_key_file"]).read_text()

    again = burnish("engine", "up", "--model", "tiny", "--engine-arg", "max_model_len=64")
    assert again.out == "--engine background --engine-arg name=tiny\n"
    (listed,) = burnish("engine", "status", "--json").data
    assert (listed["name"], listed["state"], listed["keeper"]) == ("tiny", "ready", up.data["keeper"])
    assert key not in json.dumps(listed) + up.out + again.out + again.err
    assert "tiny" in burnish("engine", "status").out
    assert burnish("engine", "logs").out.startswith("child ")
    assert burnish("engine", "up", "--model", "tiny").status == 2
    assert burnish("engine", "up", "--model", "tiny", "--idle", "soon").status == 2

    assert burnish("engine", "down", "--json").data == [{"name": "tiny", "ended": True}]
    assert burnish("engine", "down").status == 0
    assert burnish("engine", "logs", "tiny", "-n", "1").out == "burnish: asked to end\n"
    assert burnish("engine", "logs", "other").status == 2
