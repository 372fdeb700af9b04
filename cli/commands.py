"""The commands of the program, each imported when it runs.

The help text, completion and the mend for a mistyped name need only names and a line each. Stand-ins give them, so that none
of these waits for the modules behind the other commands.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

import typer
from typer.core import TyperGroup
from typer.main import get_command

COMMANDS: Mapping[str, str] = {
    "init": "Write burnish.toml, graph.py and tasks.jsonl, which run at once.",
    "new": "Write NAME.py and test_NAME.py, which run and pass as they are.",
    "run": "Run a graph on a prompt, or on a batch of tasks; or with FILE.json as GRAPH what burnish runs export-config wrote.",
    "compare": "Compare graphs, settings or verifiers on the same tasks, model and seeds.",
    "view": "Show stored runs as web pages on this machine, live while they run, until Ctrl-C.",
    "doctor": "Check Python, vLLM, the model, the store, disk and memory.",
    "runs": "Stored runs: list, show, tree, calls, stuck, diff, fork, replay, export, export-config, answer, resume.",
    "pool": "Stored pools of samples: draw, list, show.",
    "graphs": "Graphs that can be run: list, show, draw.",
    "verifiers": "Judges of answers: list, show, check, audits.",
    "engine": "The local vLLM engine: install, up, down, status, logs.",
    "models": "Models kept on this machine: list, add, check, remove, pull, path.",
    "corpus": "Passages to retrieve from: build, list, info, search, drop.",
    "rag": "Inference scaling of retrieval: fit, plan.",
    "export": "What is stored, for other programs: sft.",
    "db": "The database: stats, check, migrate, prune, vacuum.",
    "config": "Defaults, and where they come from: show.",
}
"""A line on each. The module of the same name holds it: a group as `app`, a single command as a function of its name."""
_MODULES = {"export": "export_sft"}


class Program(TyperGroup):
    """A group of stand-ins, in which the command that is asked for takes its place."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if args and args[0] in COMMANDS:
            self.commands[args[0]] = load(args[0])
        return super().resolve_command(ctx, args)


def stand_in(app: typer.Typer) -> None:
    """Register every command by its name and line alone."""
    for name, line in COMMANDS.items():
        app.command(name, help=line)(_nothing)


def load(name: str) -> Any:
    """The command itself, its module imported."""
    module = importlib.import_module(f".{_MODULES.get(name, name)}", __package__)
    owner = typer.Typer(add_completion=False, rich_markup_mode=None)
    owner.callback()(_nothing)
    if group := getattr(module, "app", None):
        owner.add_typer(group, name=name)
    else:
        owner.command(name)(getattr(module, name))
    return getattr(get_command(owner), "commands")[name]  # noqa: B009  (a group: it has a callback)


def _nothing() -> None:
    """Nothing runs by this name."""
