"""Models under names of the user's choosing: put there, looked at again, removed.

The name says nothing of what a model is: its source is recorded with it, and a name that another source has is given away
only where that is asked for.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from ..core.errors import ConfigError
from . import models_manifest
from .models import Say, StoredModel, kept_names, models_folder, spec_of, stored
from .models_place import discard, locked, put
from .models_sources import FolderSource, GgufSource, HubSource, Source

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")


def add(
    name: str,
    *,
    gguf: Path | None = None,
    path: Path | None = None,
    hub: str | None = None,
    copy: bool = False,
    anew: bool = False,
    say: Say,
) -> StoredModel:
    """Put a model under a name, from exactly one source; what is there already from this source is kept.

    `copy` copies the files of a folder, which is else linked by its path. `anew` makes the model once more, in place of
    whatever has the name.

    Raises:
        ConfigError: a wrong name or source, or a name that is taken.
        EngineUnavailable: the hub, the disk or what converts cannot do it.
    """
    check_name(name)
    if spec_of(name):
        raise ConfigError(f"{name} is the name of a built-in model", hint="choose another name")
    if len([source for source in (gguf, path, hub) if source is not None]) != 1:
        raise ConfigError("a model is added from one source", hint="give one of --gguf FILE, --path FOLDER, --hub OWNER/NAME")
    if copy and path is None:
        raise ConfigError("only a folder can be copied", hint="leave --copy out, or give --path FOLDER")
    source: Source
    if gguf is not None:
        source = GgufSource(gguf)
    elif path is not None:
        source = FolderSource(path, copy=copy)
        if source.root.is_relative_to((models_folder() / name).resolve()):
            raise ConfigError(f"{path} is the model {name} itself", hint="choose another name")
    else:
        source = HubSource(hub or "")
    return _put(name, source, anew=anew, say=say)


def _put(name: str, source: Source, *, anew: bool, say: Say) -> StoredModel:
    with locked(name, say):
        if not anew:
            _check_taken(name, source)
            if (there := stored(name)).ready:
                say(f"{name} is there already, from {there.source}")
                return there
        put(name, lambda result, scratch: source.fill(name, result, scratch, say))
    return stored(name)


def _check_taken(name: str, source: Source) -> None:
    there = stored(name)
    if (models_folder() / name).is_dir() and not source.same(there.source):
        raise ConfigError(
            f"the name {name} is taken: {there.source or there.problem}",
            code="model_exists",
            hint="choose another name, or give --replace",
        )


def recheck(name: str, *, say: Say) -> StoredModel:
    """Read every file of a model and compare its checksum; what is wrong is in `problem`.

    Where only times differ, as after a copy of the whole folder, the manifest is brought up to date.

    Raises:
        ConfigError: no model has the name.
    """
    own = own_name(name)
    say(f"reading {own}")
    with locked(own, say):
        model, manifest = stored(own), models_manifest.read(models_folder() / own)
        if manifest is None:
            return model
        if problem := models_manifest.damaged(model.path, manifest):
            return replace(model, ready=False, problem=problem)
        if not model.ready:
            models_manifest.refresh(models_folder() / own, model.path)
        return stored(own)


def remove(name: str, *, say: Say) -> StoredModel:
    """Remove a model by name; files that were linked stay. Returns what it was.

    Raises:
        ConfigError: no model has the name.
    """
    own = own_name(name)
    with locked(own, say):
        model = stored(own_name(own))  # it may have gone while we waited
        discard(own)
    return model


def own_name(name: str) -> str:
    """The name that a model's folder has.

    Raises:
        ConfigError: there is no such model.
    """
    spec = spec_of(name)
    own = spec.name if spec else name
    check_name(own)
    if not (models_folder() / own).is_dir():
        raise ConfigError(f"there is no model {name!r}", hint=f"those that are there: {', '.join(kept_names()) or 'none'}")
    return own


def check_name(name: str) -> None:
    """Refuse a name that cannot be a folder's on every system, or looks like an option.

    Raises:
        ConfigError: it has other characters, begins with none of them, or is too long.
    """
    if not _NAME.fullmatch(name):
        raise ConfigError(
            f"{name!r} is no name for a model",
            hint="letters, digits, dot, dash and underscore; a letter or digit first; at most 80",
        )
