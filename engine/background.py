"""The engine that `burnish engine up` keeps in the background, as an engine of a run, and whether it fits what a run asks for.

It is known by its name and not by its address, so that a run finds it again after a restart on another port. What it serves, and
with which arguments, is part of what it is: a run does not go on with another model that has taken the name.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..core.engine import EngineInfo
from ..core.errors import ConfigError, EngineUnavailable
from . import up, up_state
from .models import located, name_of, revision_of
from .server import ServerEngine
from .server_pool import Pool


class KeptEngine(ServerEngine):
    """A model that `burnish engine up` keeps loaded: `start` and `close` only connect to it."""

    def __init__(self, model: str | None = None, *, name: str | None = None, args: Mapping[str, str] | None = None) -> None:
        """Find the engine.

        Args:
            model: what it has to serve, as a name or a folder; None for whatever it serves.
            name: its name; None for the only one that there is.
            args: the arguments that it has to have been started with; None for any.

        Raises:
            ConfigError: several are there, and none is named.
            EngineUnavailable: it is not there or not ready, or serves something else.
        """
        name = name or _only()
        state = up.engine(name)
        if state is None:
            raise EngineUnavailable(f"the engine {name} is not in the background", hint=_again(name, model, args or {}))
        wanted = state.model if model is None else located(model)
        if not _same(wanted, state.model) or (args is not None and dict(args) != state.args):
            has = " ".join([state.model, *(f"{key}={value}" for key, value in state.args.items())])
            hint = f"burnish engine down {name}, then {_again(name, model, args or {})}"
            raise EngineUnavailable(f"the engine {name} in the background is another one: {has}", hint=hint)
        if (how := up.condition(name)) != "ready":
            raise EngineUnavailable(f"the engine {name} in the background is {how}", hint=f"burnish engine logs {name}")
        super().__init__(state.url, state.name, api_key_file=str(state.key_file))
        self._state = state

    def _described(self, pool: Pool) -> EngineInfo:
        """As of a server, with what is known of the model besides."""
        state = self._state
        about = {"model": name_of(state.model), "revision": revision_of(state.model), "settings": dict(state.args)}
        return replace(super()._described(pool), kind="background", **about)


def recipe_of(state: up_state.BackgroundEngine) -> tuple[str, dict[str, Any]]:
    """Model and arguments by which `KeptEngine` finds this engine again, and no other one."""
    return state.model, {"name": state.name, "args": dict(state.args)}


def fitting(model: str, args: Mapping[str, Any]) -> tuple[up_state.BackgroundEngine | None, str]:
    """An engine in the background that does what vLLM would with this model and these arguments; else why there is none.

    What the arguments leave open is as the engine was started. The reason is empty where nothing is in the background.
    """
    why = ""
    for name in up_state.names():
        state = up.engine(name)
        if state is None:
            continue
        problem = _unfit(state, located(model), args)
        if not problem:
            return state, ""
        why = why or f"the engine {name} in the background {problem}"
    return None, why


def _unfit(state: up_state.BackgroundEngine, model: str, args: Mapping[str, Any]) -> str:
    """In words why an engine does not fit; empty if it does."""
    if not _same(state.model, model):
        return f"serves {name_of(state.model)}"
    for key, value in args.items():
        if state.args.get(key) != str(value):
            return f"was not started with {key}={value}"
    how = up.condition(state.name)
    return "" if how == "ready" else f"is {how}"


def _same(one: str, other: str) -> bool:
    return one == other or (Path(one).is_dir() and Path(one).resolve() == Path(other).resolve())


def _only() -> str:
    known = [name for name in up_state.names() if up_state.kept(name)]
    if not known:
        raise EngineUnavailable("no engine is in the background", hint="burnish engine up")
    if len(known) > 1:
        raise ConfigError(f"there are {len(known)} engines in the background", hint=f"name one: name={known[0]}")
    return known[0]


def _again(name: str, model: str | None, args: Mapping[str, str]) -> str:
    """The command that starts it."""
    words = ["--model", model] if model else []
    words += [word for key, value in args.items() for word in ("--engine-arg", f"{key}={value}")]
    return " ".join(["burnish engine up", name, *map(shlex.quote, words)])
