"""Keeping models: names, manifests, damage, two processes at once. The conversion itself is stood in for by a copy."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from burnish.core.errors import ConfigError, EngineUnavailable
from burnish.engine import models, models_fetch, models_manifest
from burnish.engine.models import DEFAULT_MODEL, SMOLLM2, ModelSpec, StoredModel


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BURNISH_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    return tmp_path / "home"


def put(name: str = DEFAULT_MODEL) -> Path:
    """A finished model of two small files."""
    folder = models.models_folder() / name
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(b"weights")
    models_manifest.write(folder, models_manifest.describe(folder, models_manifest.written(folder), name=name, source="test"))
    return folder


def test_home_follows_the_platform(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("BURNISH_HOME", str(tmp_path))
    assert models.home() == tmp_path
    monkeypatch.delenv("BURNISH_HOME")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(sys, "platform", "linux")
    assert models.home() == tmp_path / "cache" / "burnish"
    monkeypatch.setattr(sys, "platform", "darwin")
    assert models.home() == Path.home() / "Library" / "Caches" / "burnish"


@pytest.mark.parametrize("name", ["SmolLM2-135M-Instruct", "smollm2-135m-instruct", "HuggingFaceTB/SmolLM2-135M-Instruct"])
def test_the_default_model_has_several_names(home: Path, name: str) -> None:
    folder = put()
    assert models.ensure(name) == str(folder)


def test_names_that_are_left_to_vllm(home: Path, tmp_path: Path) -> None:
    assert models.ensure("Qwen/Qwen3-0.6B") == "Qwen/Qwen3-0.6B"
    own = tmp_path / "own"
    own.mkdir()
    with pytest.raises(ConfigError, match="holds no model"):
        models.ensure(str(own))
    (own / "config.json").write_text("{}")
    assert models.ensure(str(own)) == str(own)
    assert models.ensure(str(put("mine"))) == str(home / "models" / "mine")
    assert models.ensure("mine") == str(home / "models" / "mine")


@pytest.mark.parametrize("name", ["smollm3", "./nowhere", "/nowhere/at/all", "a/b/c", ""])
def test_names_that_mean_nothing(home: Path, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError):
        models.ensure(name)


def test_stored_tells_what_is_there(home: Path) -> None:
    absent = models.stored(DEFAULT_MODEL)
    assert (absent.ready, absent.problem) == (False, "not fetched")
    put()
    there = models.stored(DEFAULT_MODEL)
    assert (there.ready, there.bytes, there.source) == (True, 9, "test")
    assert there.revision == models.revision_of(str(there.path))
    assert [m.name for m in models.all_models()] == [DEFAULT_MODEL]
    put("another")
    assert [m.name for m in models.all_models()] == [DEFAULT_MODEL, "another"]


@pytest.mark.parametrize("damage", ["missing", "longer", "same size", "manifest", "not json", "wrong types"])
def test_damage_is_seen(home: Path, damage: str) -> None:
    folder = put()
    weights, manifest = folder / "model.safetensors", folder / "manifest.json"
    match damage:
        case "missing":
            weights.unlink()
        case "longer":
            weights.write_bytes(b"weights and more")
        case "same size":
            weights.write_bytes(b"WEIGHTS")
        case "manifest":
            manifest.unlink()
        case "not json":
            manifest.write_text("{")
        case _:
            manifest.write_text(json.dumps({"files": {"config.json": None}, "source": 1}))
    assert not models.stored(DEFAULT_MODEL).ready
    with pytest.raises(EngineUnavailable, match=r"damaged|not there"):
        models.verify(DEFAULT_MODEL)
    with pytest.raises(EngineUnavailable) as error:
        models.ensure(DEFAULT_MODEL)
    assert error.value.code == "model_damaged"
    assert "--force" in error.value.hint


def test_other_times_but_the_same_content_will_do(home: Path) -> None:
    folder = put()
    os.utime(folder / "model.safetensors", (1, 1))
    assert not models.stored(DEFAULT_MODEL).ready
    assert models.ensure(DEFAULT_MODEL) == str(folder)


def test_revision_of_a_folder_without_manifest(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"a" * 200_000)
    first = models.revision_of(str(tmp_path))
    (tmp_path / "model.safetensors").write_bytes(b"a" * 199_999 + b"b")
    assert models.revision_of(str(tmp_path)) != first
    assert models.revision_of("no/folder") == ""


FETCH = """
import sys, time
from pathlib import Path
from burnish.engine import models, models_fetch, models_manifest

def convert(spec, target, scratch, say):
    with open(sys.argv[1], "a") as log:
        log.write("converting\\n")
    (target / "config.json").write_text("{}")
    print("began", flush=True)
    time.sleep(float(sys.argv[2]))
    return "test"

models_fetch._from_distribution = convert
model = models_fetch.fetch(models.SMOLLM2, say=print)
print("ready", model.ready, flush=True)
"""


def fetcher(log: Path, seconds: float) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", FETCH, str(log), str(seconds)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_two_processes_fetch_once(home: Path, tmp_path: Path) -> None:
    both = [fetcher(tmp_path / "log", 1) for _ in range(2)]
    outputs = [process.communicate(timeout=60)[0] for process in both]
    assert all("ready True" in output for output in outputs)
    assert (tmp_path / "log").read_text() == "converting\n"


def test_a_fetch_that_was_killed_leaves_nothing_half_done(home: Path, tmp_path: Path) -> None:
    process = fetcher(tmp_path / "log", 600)
    assert process.stdout is not None
    while process.stdout.readline() != "began\n":
        pass
    process.kill()
    process.communicate()
    assert models.stored(DEFAULT_MODEL).problem == "not fetched"
    assert len(list((home / "models").glob(".partial-*"))) == 1
    assert "ready True" in fetcher(tmp_path / "log", 0).communicate(timeout=60)[0]
    assert list((home / "models").glob(".partial-*")) == []


def test_weights_with_another_checksum_are_refused(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = tmp_path / "fake.gguf"
    fake.write_bytes(b"GGUF, but not the one")

    def found(_: ModelSpec) -> Path:
        return fake

    monkeypatch.setattr(models_fetch, "_installed", found)
    with pytest.raises(EngineUnavailable, match="checksum") as error:
        models_fetch.fetch(SMOLLM2, say=lambda _: None)
    assert error.value.code == "model_damaged"
    assert list((home / "models").glob("[!.]*")) == []


def test_force_replaces_what_is_there(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = put()
    (folder / "stale").write_text("old")

    def convert(spec: ModelSpec, target: Path, scratch: Path, say: models.Say) -> str:
        (target / "config.json").write_text('{"new": 1}')
        return "again"

    monkeypatch.setattr(models_fetch, "_from_distribution", convert)
    kept: StoredModel = models_fetch.fetch(SMOLLM2, say=lambda _: None)
    assert kept.source == "test"
    fresh = models_fetch.fetch(SMOLLM2, say=lambda _: None, force=True)
    assert (fresh.source, fresh.ready) == ("again", True)
    assert not (folder / "stale").exists()


@pytest.mark.skipif(os.geteuid() == 0 and not shutil.which("chattr"), reason="root may write anywhere")
def test_a_home_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("BURNISH_HOME", str(tmp_path / "file"))
    with pytest.raises(EngineUnavailable, match="cannot store") as error:
        models_fetch.fetch(SMOLLM2, say=lambda _: None)
    assert "BURNISH_HOME" in error.value.hint
