"""The guardian and the processes it ends, with real processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from burnish.engine import guardian

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads /proc")

STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(600)"


def spawn(code: str) -> subprocess.Popen[str]:
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"
    return process


def gone(pid: int, seconds: float = 20) -> bool:
    deadline = time.monotonic() + seconds
    while guardian.start_time(pid) is not None and time.monotonic() < deadline:
        time.sleep(0.02)
    return guardian.start_time(pid) is None


def test_start_time_tells_the_living_from_the_dead() -> None:
    assert guardian.start_time(os.getpid()) is not None
    assert guardian.start_time(2**22 + 1) is None
    process = spawn("print('up', flush=True)")
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # a zombie until it is waited for
    assert guardian.start_time(process.pid) is None
    process.communicate()


def test_a_stubborn_process_and_its_children_are_killed(tmp_path: Path) -> None:
    parent = spawn(f"import subprocess, sys; c = subprocess.Popen([sys.executable, '-c', {STUBBORN!r}]); c.wait()")
    guardian.enrol(tmp_path, parent.pid)
    time.sleep(0.1)
    guardian.end_processes(tmp_path, grace=0.3)
    assert gone(parent.pid)
    parent.communicate(timeout=20)  # its child held the pipe: so the child is gone too


def test_a_process_with_a_used_id_is_left_alone(tmp_path: Path) -> None:
    stranger = spawn("import time; print('up', flush=True); time.sleep(600)")
    (tmp_path / str(stranger.pid)).write_text("1")  # enrolled by another process that had this id before
    guardian.end_processes(tmp_path, grace=0.1)
    assert guardian.start_time(stranger.pid) is not None
    stranger.kill()
    stranger.communicate()


def test_the_shared_memory_of_the_killed_is_freed(tmp_path: Path) -> None:
    code = "from multiprocessing.shared_memory import SharedMemory; import time; m = SharedMemory(create=True, size=9)"
    holder = spawn(f"{code}; open({str(tmp_path / 'name')!r}, 'w').write(m.name); print('up', flush=True); time.sleep(600)")
    memory = Path("/dev/shm", (tmp_path / "name").read_text())
    assert memory.exists()
    folder = tmp_path / "pids"
    folder.mkdir()
    guardian.enrol(folder, holder.pid)
    guardian.sweep(folder)
    assert not memory.exists()
    holder.communicate()


def test_rubbish_in_the_folder_is_no_process(tmp_path: Path) -> None:
    (tmp_path / "notes").write_text("hello")
    (tmp_path / "12").write_bytes(b"\xff\x00")
    assert guardian.enrolled(tmp_path) == {}


def test_after_the_sweep_nobody_can_enrol(tmp_path: Path) -> None:
    folder = tmp_path / "pids"
    folder.mkdir()
    guardian.sweep(folder)
    with pytest.raises(OSError, match="No such file"):
        guardian.enrol(folder, os.getpid())


OWNER = """
import subprocess, sys, time
from pathlib import Path
from burnish.engine import guardian
from burnish.engine.vllm_process import Surroundings
around = Surroundings(Path(sys.argv[1]))
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
guardian.enrol(around.pids, child.pid)
print(around.folder, child.pid, around._guardian.pid, flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_the_owners_death_ends_everything(tmp_path: Path, number: signal.Signals) -> None:
    owner = subprocess.Popen([sys.executable, "-c", OWNER, str(tmp_path / "log")], stdout=subprocess.PIPE, text=True)
    assert owner.stdout is not None
    folder, child, watcher = owner.stdout.readline().split()
    assert os.getsid(int(watcher)) == int(watcher)  # Ctrl-C in the owner's terminal does not reach it
    owner.send_signal(number)
    owner.wait()
    assert gone(int(child))
    assert gone(int(watcher))
    assert not Path(folder).exists()
    owner.stdout.close()


def test_a_forked_child_does_not_keep_the_guardian_waiting(tmp_path: Path) -> None:
    code = OWNER.replace("time.sleep(600)\n", "import os\nif os.fork() == 0: time.sleep(5)\nos._exit(0)\n")
    with (tmp_path / "out").open("w") as out:
        subprocess.run([sys.executable, "-W", "ignore", "-c", code, str(tmp_path / "log")], stdout=out, check=True)
    _, child, watcher = (tmp_path / "out").read_text().split()
    assert gone(int(child), 4)
    assert gone(int(watcher), 4)
