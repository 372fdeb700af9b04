"""`burnish models`: the models that burnish keeps."""

from __future__ import annotations

from typing import Annotated

import typer

from ..core.errors import EngineUnavailable
from .groups import ListByDefault
from .options import AsJson
from .output import emit, say, show, show_table

app = typer.Typer(cls=ListByDefault, help="Models kept on this machine: list, pull, path.", rich_markup_mode=None)

Name = Annotated[
    str, typer.Argument(metavar="[NAME]", show_default=False, help="Name of a model; the default model if left out.")
]


@app.command("list")
def list_models(as_json: AsJson = False) -> int:
    """List the models that are there or can be fetched.

    With --json, data is [{name, path, ready, bytes, source, revision, problem}].
    """
    from ..engine.models import all_models

    found = all_models()
    if as_json:
        emit([model.to_json() for model in found])
        return 0
    rows = [[m.name, "ready" if m.ready else m.problem, _size(m.bytes), m.source or "-", str(m.path)] for m in found]
    show_table(["MODEL", "STATE", "SIZE", "SOURCE", "PATH"], rows, {"ready": "green"})
    return 0


@app.command("pull")
def pull(
    name: Name = "",
    verify: Annotated[bool, typer.Option("--verify", help="Also compare every file with its checksum.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Fetch it again even if it is there.")] = False,
    as_json: AsJson = False,
) -> int:
    """Fetch a model, unless it is there.

    With --json, data is {name, path, ready, bytes, source, revision, problem}.
    """
    from ..engine import models
    from ..engine.models_fetch import fetch

    wanted = name or models.DEFAULT_MODEL
    spec = models.spec_of(wanted)
    if spec is None:
        known = ", ".join(models.CATALOGUE)
        raise EngineUnavailable(
            f"burnish does not know how to fetch {wanted!r}",
            hint=f"one of: {known}; vLLM fetches OWNER/NAME of the hub by itself",
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

    With --json, data is {name, path, ready, bytes, source, revision, problem}.
    """
    from ..engine import models

    wanted = name or models.DEFAULT_MODEL
    spec = models.spec_of(wanted)
    model = models.stored(spec.name if spec else wanted)
    if not model.ready:
        mend = f"burnish models pull {'--force ' if model.path.is_dir() else ''}{model.name}" if spec else "burnish models list"
        raise EngineUnavailable(f"the model {model.name} is not ready: {model.problem}", hint=mend)
    if as_json:
        emit(model.to_json())
    else:
        show(str(model.path))
    return 0


def _size(size: int) -> str:
    return f"{size / 2**20:.0f} MiB" if size else "-"
