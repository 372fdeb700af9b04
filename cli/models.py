"""`burnish models`: the models that burnish keeps."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..core.errors import BurnishError, ConfigError, EngineUnavailable
from ..core.text import one_line
from .groups import ListByDefault
from .options import AsJson
from .output import emit, quiet_stdout, say, show, show_table

if TYPE_CHECKING:
    from ..engine.models import StoredModel
    from ..engine.models_smoke import Smoke

app = typer.Typer(
    cls=ListByDefault, help="Models kept on this machine: list, add, check, remove, pull, path.", rich_markup_mode=None
)

Name = Annotated[
    str, typer.Argument(metavar="[NAME]", show_default=False, help="Name of a model; the default model if left out.")
]


@app.command("list")
def list_models(as_json: AsJson = False) -> int:
    """List the models that are there or can be fetched.

    With --json, data is [{name, path, ready, bytes, dtype, source, revision, linked, problem}].
    """
    from ..engine.models import all_models

    found = all_models()
    if as_json:
        emit([model.to_json() for model in found])
    else:
        _table(found)
    return 0


@app.command("add")
def add(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The name to run it by: letters, digits, dot, dash, underscore.")],
    gguf: Annotated[
        Path | None, typer.Option("--gguf", metavar="FILE", help="A GGUF file; converted to bf16 once.", show_default=False)
    ] = None,
    path: Annotated[
        Path | None,
        typer.Option("--path", metavar="FOLDER", help="A folder that transformers can read; linked.", show_default=False),
    ] = None,
    hub: Annotated[
        str | None, typer.Option("--hub", metavar="OWNER/NAME", help="A repository of the hub; downloaded.", show_default=False)
    ] = None,
    copy: Annotated[bool, typer.Option("--copy", help="With --path: copy the files instead of linking the folder.")] = False,
    replace: Annotated[bool, typer.Option("--replace", help="Make it anew, in place of what has the name.")] = False,
    smoke: Annotated[bool, typer.Option("--smoke/--no-smoke", help="Load it in vLLM and generate 8 tokens.")] = True,
    as_json: AsJson = False,
) -> int:
    """Add a model under a name of your own. Run it with: burnish run GRAPH --model NAME.

    With --json, data is {name, path, ready, bytes, dtype, source, revision, linked, problem, smoke}, smoke being
    {text, tokens, seconds, chat}, or null if there was no trial.
    """
    from ..engine import models_add

    with quiet_stdout():
        model = models_add.add(name, gguf=gguf, path=path, hub=hub, copy=copy, anew=replace, say=say)
        tried = _try(model) if smoke else None
    if as_json:
        emit({**model.to_json(), "smoke": tried.to_json() if tried else None})
    else:
        show(str(model.path))
    return 0


@app.command("check")
def check(
    name: Annotated[str, typer.Argument(metavar="[NAME]", show_default=False, help="Name of a model; all if left out.")] = "",
    as_json: AsJson = False,
) -> int:
    """Compare every file of a model with its checksum. The exit status is 1 if one differs.

    With --json, data is [{name, path, ready, bytes, dtype, source, revision, linked, problem}].
    """
    from ..engine.models import kept_names
    from ..engine.models_add import recheck

    found = [recheck(one, say=say) for one in ([name] if name else kept_names())]
    if as_json:
        emit([model.to_json() for model in found])
    else:
        _table(found)
    return 0 if all(model.ready for model in found) else 1


@app.command("remove")
def remove(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of a model.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> int:
    """Remove a model. Of one that was linked, the files stay.

    With --json, data is {name, path, ready, bytes, dtype, source, revision, linked, problem}, of what was removed.
    """
    from ..engine import models, models_add

    model = models.stored(models_add.own_name(name))
    what = f"the name; its files in {model.path} stay" if model.linked else f"{_size(model.bytes)} in {model.path}"
    if not yes:
        if as_json or not sys.stdin.isatty():
            raise ConfigError(f"removing {model.name} would remove {what}", hint="--yes does it without asking")
        say(f"remove {model.name}: {what}? [y/N]")
        if sys.stdin.readline().strip().lower() not in ("y", "yes"):
            say("nothing was removed")
            return 1
    removed = models_add.remove(name, say=say)
    if as_json:
        emit(removed.to_json())
    else:
        say(f"removed {removed.name}: {what}")
    return 0


@app.command("pull")
def pull(
    name: Name = "",
    verify: Annotated[bool, typer.Option("--verify", help="Also compare every file with its checksum.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Fetch it again even if it is there.")] = False,
    as_json: AsJson = False,
) -> int:
    """Fetch a model that burnish knows by itself, unless it is there.

    With --json, data is {name, path, ready, bytes, dtype, source, revision, linked, problem}.
    """
    from ..engine import models
    from ..engine.models_fetch import fetch

    wanted = name or models.DEFAULT_MODEL
    spec = models.spec_of(wanted)
    if spec is None:
        known = ", ".join(models.CATALOGUE)
        raise EngineUnavailable(
            f"burnish does not know how to fetch {wanted!r}", hint=f"one of: {known}; any other: burnish models add"
        )
    model = fetch(spec, say=say, force=force)
    if verify:
        model = models.verify(spec.name)
        say("every file agrees with its checksum")
    if as_json:
        emit(model.to_json())
    else:
        show(str(model.path))
    return 0


@app.command("path")
def path(name: Name = "", as_json: AsJson = False) -> int:
    """Print the folder of a model that is there.

    With --json, data is {name, path, ready, bytes, dtype, source, revision, linked, problem}.
    """
    from ..engine import models

    wanted = name or models.DEFAULT_MODEL
    spec = models.spec_of(wanted)
    model = models.stored(spec.name if spec else wanted)
    if not model.ready:
        raise EngineUnavailable(f"the model {model.name} is not ready: {model.problem}", hint=models.mend_of(model.name))
    if as_json:
        emit(model.to_json())
    else:
        show(str(model.path))
    return 0


def _try(model: StoredModel) -> Smoke | None:
    """Generate with a model that was added; nothing where vLLM is not installed."""
    import asyncio
    from importlib.util import find_spec

    from ..engine.models_smoke import smoke

    if find_spec("vllm") is None:
        say(f"vLLM is not installed: {model.name} was added and not tried; burnish engine install")
        return None
    say(f"trying {model.name} in vLLM ...")
    try:
        tried = asyncio.run(smoke(model.name, model.path))
    except BurnishError as e:
        e.message = f"{model.name} was added, but its trial failed: {e.message}"
        e.hint = f"{e.hint}; burnish models remove {model.name}" if e.hint else f"burnish models remove {model.name}"
        raise
    say(f"{tried.tokens} tokens in {tried.seconds:.0f} s, starting included: {one_line(tried.text)}")
    return tried


def _table(found: list[StoredModel]) -> None:
    rows = [
        [m.name, "ready" if m.ready else m.problem, _size(m.bytes), m.dtype or "-", m.source or "-", str(m.path)] for m in found
    ]
    show_table(["MODEL", "STATE", "SIZE", "DTYPE", "SOURCE", "PATH"], rows, {"ready": "green"})


def _size(size: int) -> str:
    return f"{size / 2**20:.0f} MiB" if size else "-"
