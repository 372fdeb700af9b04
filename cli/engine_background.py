"""`burnish engine up`, `down`, `status`, `logs`: a model that stays loaded between runs."""

from __future__ import annotations

import re
import time
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..core.errors import ConfigError
from ..core.text import printable
from .engines import DEFAULT
from .options import AsJson, EngineArg, Model
from .output import emit, say, show, show_table
from .project import load_project
from .times import span_ns

if TYPE_CHECKING:
    from ..engine.up_state import BackgroundEngine

_SHARED = ("max_model_len", "max_num_seqs", "max_num_batched_tokens", "block_size", "dtype", "seed")
"""Arguments of the engine `vllm` that `vllm serve` has under the same names."""

Name = Annotated[
    str, typer.Argument(metavar="[NAME]", show_default=False, help="Name of the engine; may be left out for the only one.")
]


def up(
    name: Annotated[
        str, typer.Argument(metavar="[NAME]", show_default=False, help="What to call it; the model's name if left out.")
    ] = "",
    model: Model = None,
    engine_arg: EngineArg = None,
    idle: Annotated[
        str, typer.Option("--idle", metavar="SPAN", help="End it after so long without a call: 90s, 30m, 2h; never.")
    ] = "30m",
    as_json: AsJson = False,
) -> int:
    """Serve a model in the background, on loopback, until it is ended or not used any more; again at no cost.

    burnish run uses it where it fits. The model, and the arguments that it has in common with the engine vllm, are those of
    the file unless flags say so. --engine-arg takes any argument of `vllm serve`, as in max_model_len=2048. With --json, data is
    {name, model, args, port, url, ready, keeper, server, idle_s, log, engine_args, started}.
    """
    from ..engine import models, serve_command
    from ..engine import up as background

    idle_s = None if idle == "never" else span_ns(idle, "--idle") / 1e9
    if idle_s is not None and idle_s < 1:
        raise ConfigError("--idle is less than a second", hint="such as 30m, or never")
    said = load_project().engines.get(DEFAULT, {})
    args = {key: str(said[key]) for key in _SHARED if key in said} | dict(_pair(text) for text in engine_arg or ())
    path = models.ensure(model or str(said.get("model") or models.DEFAULT_MODEL), say=say)
    name = name or re.sub(r"[^A-Za-z0-9._-]+", "-", Path(path).name).strip("-._")
    found, started = background.up(
        name,
        path,
        lambda port: serve_command.vllm_command(path, name=name, port=port, args=args),
        args=args,
        idle_s=idle_s,
        say=say,
    )
    if as_json:
        emit({**_described(found), "started": started})
    else:
        say(f"{found.name} {'is ready' if started else 'was there already'}: {found.url}")
        show(f"--engine background --engine-arg name={found.name}")
    return 0


def down(
    name: Name = "",
    everything: Annotated[bool, typer.Option("--all", help="All of them.")] = False,
    as_json: AsJson = False,
) -> int:
    """End an engine that is in the background, with all its processes. The exit status is 0 as well if there is none.

    With --json, data is [{name, ended}]; ended says whether anything was there.
    """
    from ..engine import up as background
    from ..engine import up_state

    if everything and name:
        raise ConfigError("--all and a name exclude each other", hint="give one of them")
    known = up_state.names()
    chosen = known if everything or (not name and not known) else [name or _only(known)]
    done = [{"name": one, "ended": background.down(one)} for one in chosen]
    if as_json:
        emit(done)
    else:
        for one in done:
            say(f"{one['name']} {'has ended' if one['ended'] else 'was not there'}")
        if not done:
            say("no engine is in the background")
    return 0


def status(as_json: AsJson = False) -> int:
    """List the engines that are in the background.

    With --json, data is [{name, state, model, args, port, url, ready, keeper, server, idle_s, log, engine_args}]; state is
    ready, starting, silent (its server does not answer) or dead (its keeper was killed; `down` clears up).
    """
    from ..engine import up as background
    from ..engine import up_state

    states = [(name, background.condition(name), up_state.read(name)) for name in up_state.names()]
    found = [{"name": name, "state": how, **(_described(state) if state else {})} for name, how, state in states]
    if as_json:
        emit(found)
        return 0
    rows = [[n, how, s.url if s else "-", str(s.keeper) if s else "-", _idle(s), s.model if s else "-"] for n, how, s in states]
    show_table(["ENGINE", "STATE", "URL", "PID", "IDLE", "MODEL"], rows, {"ready": "green", "silent": "red", "dead": "red"})
    return 0


def logs(
    name: Name = "",
    lines: Annotated[int, typer.Option("--lines", "-n", min=1, max=100_000, help="How many lines of its end.")] = 50,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on with what is written, while the engine is there.")
    ] = False,
) -> int:
    """Print the end of an engine's log; that of one that has ended stays until its next start."""
    from ..engine import up_state

    path = up_state.log_of(name or _only(up_state.names()))
    try:
        log = path.open(errors="replace")
    except OSError:
        raise ConfigError(f"there is no log of an engine {name}", hint="burnish engine status") from None
    with log:
        for line in deque(log, lines):
            show(printable(line.rstrip("\n")))
        while follow:
            there = up_state.kept(path.name.removeprefix("engine-").removesuffix(".log"))
            for line in log:
                show(printable(line.rstrip("\n")))
            if not there:
                break
            time.sleep(0.3)
    return 0


def _only(known: list[str]) -> str:
    if len(known) != 1:
        what = f"there are {len(known)} engines in the background" if known else "no engine is in the background"
        raise ConfigError(what, hint=f"name one: {', '.join(known)}" if known else "burnish engine up")
    return known[0]


def _pair(text: str) -> tuple[str, str]:
    key, sign, value = text.partition("=")
    if not sign or not key.strip():
        raise ConfigError(f"--engine-arg {text!r} is no key=value", hint="as in --engine-arg max_model_len=2048")
    return key.strip(), value


def _described(state: BackgroundEngine) -> dict[str, object]:
    hidden = ("keeper_started", "server_started")
    plain = {key: value for key, value in state.to_json().items() if key not in hidden}
    return {**plain, "url": state.url, "engine_args": state.engine_args}


def _idle(state: BackgroundEngine | None) -> str:
    return "never" if state is None or state.idle_s is None else f"{state.idle_s:g} s"
