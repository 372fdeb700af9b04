"""What is known of the engines in the background, in files that only the user can read.

Each engine has a keeper, a process that holds a lock for as long as it lives (`up_keeper.py`). Whether an engine is there is
asked of that lock, which the system gives back however the keeper ends: a process id that was left behind or has been given
to another process means nothing by itself.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
from collections.abc import Generator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any, cast

from ..core.errors import ConfigError, EngineUnavailable
from ..core.ids import Json
from .models import home


@dataclass(frozen=True, kw_only=True)
class BackgroundEngine:
    """An engine in the background, as its keeper has written it down."""

    name: str
    model: str
    """What its server loads: a folder, or a name of the hub."""
    args: dict[str, str] = field(default_factory=dict[str, str])
    """Further arguments of its server."""
    port: int
    """Where it listens, on loopback."""
    ready: bool = False
    """Whether it has answered once."""
    keeper: int = 0
    """Process id of its keeper."""
    keeper_started: int = 0
    """When that process started, in ticks since boot: another process with its id has another."""
    server: int = 0
    """Process id of its server; 0 before it is started."""
    server_started: int = 0
    """When that process started, in ticks since boot."""
    idle_s: float | None = None
    """It ends after so many seconds without use; None if it stays."""
    log: str = ""
    """The file that its server writes to."""

    @property
    def url(self) -> str:
        """Its address, as an OpenAI client wants it."""
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def key_file(self) -> Path:
        """The file that holds its key."""
        return folder(self.name) / "key"

    @property
    def engine_args(self) -> dict[str, str]:
        """Arguments of the engine `server` that use it."""
        return {"base_url": self.url, "api_key_file": str(self.key_file)}

    def to_json(self) -> dict[str, Json]:
        """Plain form; the key is not in it."""
        return cast("dict[str, Json]", asdict(self))


def check_name(name: str) -> str:
    """The name, if an engine can have it.

    Raises:
        ConfigError: it cannot.
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", name):
        raise ConfigError(f"an engine cannot be called {name!r}", hint="letters, digits, dot, dash and underscore, at most 64")
    return name


def engines_folder() -> Path:
    """Where the engines' folders are; it is made if need be.

    Raises:
        EngineUnavailable: it cannot be written.
    """
    place = home() / "engines"
    try:
        place.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as e:
        raise EngineUnavailable(f"cannot write below {home()}: {e.strerror}", hint="set BURNISH_HOME") from None
    return place


def folder(name: str) -> Path:
    """Where an engine's state and key are while it is there."""
    return engines_folder() / check_name(name)


def log_of(name: str) -> Path:
    """Where an engine's server writes; it stays when the engine is gone, until the next start."""
    return home() / "logs" / f"engine-{check_name(name)}.log"


def write(state: BackgroundEngine) -> None:
    """Put the state in place, all at once."""
    place = folder(state.name)
    partial = place / ".state"
    write_private(partial, json.dumps(state.to_json()))
    partial.rename(place / "state.json")


def write_private(path: Path, text: str) -> None:
    """Write a file that nobody else can read, at no moment."""
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as handle:
        handle.write(text)


def read(name: str) -> BackgroundEngine | None:
    """What is written down of an engine, whether it lives or not; None if nothing is, or nothing that makes sense."""
    try:
        value: dict[str, Any] = json.loads((folder(name) / "state.json").read_text())
        found = BackgroundEngine(**value)
    except (OSError, ValueError, TypeError):
        return None
    numbers = (found.port, found.keeper, found.keeper_started, found.server, found.server_started)
    # Processes are ended by what is read here, and 0, -1 and the like stand for many.
    return found if found.name == name and all(type(n) is int and n >= 0 for n in numbers) else None


def names() -> list[str]:
    """Names of the engines of which something is written down."""
    place = home() / "engines"
    return sorted(p.name for p in place.iterdir() if p.is_dir() and not p.name.startswith(".")) if place.is_dir() else []


def take(name: str) -> IO[str] | None:
    """The keeper's lock, held until it is closed; None if a keeper has it."""
    import fcntl

    handle = (engines_folder() / f".keeper-{check_name(name)}").open("w")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        handle.close()
        return None
    return handle


def kept(name: str) -> bool:
    """Whether an engine's keeper lives."""
    with _given_back(take(name)) as lock:
        return lock is None


def clear(name: str) -> bool:
    """Remove what is written down of an engine whose keeper is gone; False if there is a keeper."""
    with _given_back(take(name)) as lock:
        if lock is not None:
            shutil.rmtree(folder(name), ignore_errors=True)
        return lock is not None


@contextlib.contextmanager
def _given_back(lock: IO[str] | None) -> Generator[IO[str] | None]:
    try:
        yield lock
    finally:
        if lock is not None:
            lock.close()
