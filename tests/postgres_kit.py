"""A PostgreSQL server of a test's own, which it may stop, kill and start again."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def programs() -> Path | None:
    """The folder of PostgreSQL's programs, if they are on this machine."""
    found = shutil.which("pg_ctl")
    folders = [*([Path(found).parent] if found else []), *sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)]
    return next((f for f in folders if (f / "initdb").exists() and (f / "pg_ctl").exists()), None)


class Server:
    """One server on loopback. It refuses to run as root, so root runs it as another user."""

    def __init__(self, home: Path, bin: Path) -> None:
        self.home, self.data, self._bin = home, home / "data", bin
        self._user = next((u for u in ("postgres", "nobody") if _exists(u)), None) if os.geteuid() == 0 else None
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"postgresql+psycopg://burnish@127.0.0.1:{self.port}/postgres?connect_timeout=5"
        home.mkdir(parents=True, exist_ok=True)
        home.chmod(0o777)
        self._do("initdb", "-D", str(self.data), "-U", "burnish", "--auth=trust", "-E", "UTF8", "--no-sync")

    def start(self) -> None:
        options = f"-h 127.0.0.1 -p {self.port} -c unix_socket_directories='' -c fsync=off"
        self._do("pg_ctl", "-D", str(self.data), "-l", str(self.home / "log"), "-w", "-t", "60", "-o", options, "start")

    def stop(self) -> None:
        self._do("pg_ctl", "-D", str(self.data), "-m", "fast", "-w", "stop")

    def kill(self) -> None:
        """As `kill -9` does to all of its processes at once."""
        first = int((self.data / "postmaster.pid").read_text().split()[0])
        children = Path(f"/proc/{first}/task/{first}/children").read_text().split()
        for pid in (first, *map(int, children)):
            os.kill(pid, signal.SIGKILL)
        (self.data / "postmaster.pid").unlink()  # Where nobody reaps the dead it would count as running.

    def _do(self, program: str, *arguments: str) -> None:
        command = [str(self._bin / program), *arguments]
        subprocess.run(command, check=True, user=self._user, cwd=self.home, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT)


@contextmanager
def server(home: Path) -> Iterator[Server]:
    """A server that is running, gone at the end."""
    found = programs()
    assert found is not None
    made = Server(home, found)
    made.start()
    try:
        yield made
    finally:
        if (made.data / "postmaster.pid").exists():
            made.kill()


def _exists(user: str) -> bool:
    try:
        return bool(pwd.getpwnam(user))
    except KeyError:
        return False
