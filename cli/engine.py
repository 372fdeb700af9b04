"""`burnish engine`: putting vLLM in place, and keeping a model loaded in the background."""

from __future__ import annotations

from typing import Annotated

import typer

from ..core.errors import ConfigError
from . import engine_background
from .options import AsJson
from .output import emit, say

app = typer.Typer(help="The local vLLM engine: install, up, down, status, logs.", no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def engine() -> None:
    """The local vLLM engine: install, up, down, status, logs."""


@app.command()
def install(
    cpu: Annotated[bool, typer.Option("--cpu", help="The CPU build, whatever the hardware.")] = False,
    gpu: Annotated[bool, typer.Option("--gpu", help="The NVIDIA GPU build, whatever the hardware.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")] = False,
    as_json: AsJson = False,
) -> int:
    """Install the vLLM that fits this machine into this Python environment; again at no cost.

    With --json, data is {device, steps: [text]}.
    """
    from ..engine import install as installer

    if cpu and gpu:
        raise ConfigError("--cpu and --gpu exclude each other", hint="give one of them, or none")
    device: installer.Device = "cpu" if cpu else "gpu" if gpu else installer.hardware()
    steps = installer.install(device, dry_run=dry_run, say=say)
    if as_json:
        emit({"device": device, "steps": steps})
    return 0


for command in (engine_background.up, engine_background.down, engine_background.status, engine_background.logs):
    app.command()(command)
