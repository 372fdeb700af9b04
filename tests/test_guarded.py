"""A foreign program with its processes ends with burnish: real processes, a stand-in for a server that starts an engine."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from burnish.engine import guardian
from burnish.engine.guarded import GuardedProcess
from tests.test_guardian import gone

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads /proc")

ENGINE = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
SERVER = f"""
import os, subprocess, sys, time
engine = subprocess.Popen([sys.executable, "-c", {ENGINE!r}])
print(os.getpid(), engine.pid, flush=True)
if "leave" in sys.argv:
    sys.exit(3)
time.sleep(600)
"""
OWNER = """
import os, sys, time
from pathlib import Path
from burnish.engine.guarded import GuardedProcess
GuardedProcess([sys.executable, "-c", sys.argv[2]], log=Path(sys.argv[1]), environment=os.environ)
time.sleep(600)
"""


def started(log: Path) -> list[int]:
    """Ids of server and engine, once they are there."""
    for _ in range(2000):
        words = log.read_text().split() if log.exists() else []
        if len(words) == 2:
            return [int(w) for w in words]
        gone(os.getpid(), 0.01)
    raise AssertionError(log.read_text())


def test_close_ends_it_with_what_it_started(tmp_path: Path) -> None:
    process = GuardedProcess([sys.executable, "-c", SERVER], log=tmp_path / "log", environment=os.environ, grace=0.2)
    server, engine = started(tmp_path / "log")
    assert server == process.pid == os.getsid(engine)
    assert process.poll() is None
    process.close()
    process.close()
    assert gone(server, 0)
    assert gone(engine, 0)
    assert process.poll() == -signal.SIGTERM


def test_closed_at_once_it_is_gone(tmp_path: Path) -> None:
    process = GuardedProcess([sys.executable, "-c", SERVER], log=tmp_path / "log", environment=os.environ, grace=0.2)
    process.close()
    assert gone(process.pid, 0)
    assert process.poll() is not None


def test_what_outlives_its_parent_is_ended_too(tmp_path: Path) -> None:
    process = GuardedProcess([sys.executable, "-c", SERVER, "leave"], log=tmp_path / "log", environment=os.environ, grace=0.2)
    server, engine = started(tmp_path / "log")
    assert gone(server)
    assert guardian.start_time(engine) is not None
    assert process.poll() == 3
    process.close()
    assert gone(engine, 0)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_it_ends_however_burnish_ends(tmp_path: Path, number: signal.Signals) -> None:
    log = tmp_path / "log"
    with subprocess.Popen([sys.executable, "-c", OWNER, str(log), SERVER]) as owner:
        server, engine = started(log)
        owner.send_signal(number)
        owner.wait(30)
    assert gone(server)
    assert gone(engine, 30)


def test_a_program_that_there_is_none_of(tmp_path: Path) -> None:
    process = GuardedProcess(["/no/such/program"], log=tmp_path / "log", environment=os.environ)
    assert gone(process.pid)
    assert process.poll() == 1
    process.close()
    assert "FileNotFoundError" in (tmp_path / "log").read_text()
