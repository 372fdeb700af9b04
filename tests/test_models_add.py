"""Models under names of one's own: what is refused and how it is said, what is kept, damage, kills, two at once."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from burnish.core.errors import ConfigError, EngineUnavailable
from burnish.engine import models, models_manifest, models_place, models_sources
from tests.cli_kit import burnish
from tests.models_kit import add, home, left_over, safetensors, tiny_folder

__all__ = ["burnish", "home"]

needs_vllm = pytest.mark.skipif(importlib.util.find_spec("vllm") is None, reason="vLLM is not installed")


# --- names and sources


@pytest.mark.parametrize("name", ["", "a/b", "../a", ".a", "-a", "a b", "a~b", "ä", "a" * 81, "a\n"])
def test_names_that_no_model_can_have(home: Path, tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="no name for a model"):
        add(name, path=tiny_folder(tmp_path / "own"))


def test_a_built_in_name_is_not_shadowed(home: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="built-in"):
        add("smollm2-135M-INSTRUCT", path=tiny_folder(tmp_path / "own"))


@pytest.mark.parametrize("options", [{}, {"path": Path("a"), "hub": "a/b"}, {"hub": "a/b", "copy": True}, {"hub": "no-owner"}])
def test_not_one_source(home: Path, options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        add("mine", **options)


# --- what has the name already


def test_the_same_source_again_costs_nothing_and_another_is_refused(home: Path, tmp_path: Path) -> None:
    own, other = tiny_folder(tmp_path / "own"), tiny_folder(tmp_path / "other")
    safetensors(other / "model.safetensors", 128)
    first = add("mine", path=own)
    written = (home / "models" / "mine" / "manifest.json").stat().st_mtime_ns
    assert add("mine", path=own) == first
    assert (home / "models" / "mine" / "manifest.json").stat().st_mtime_ns == written
    for options in ({"path": other}, {"path": own, "copy": True}):
        with pytest.raises(ConfigError, match="is taken") as error:
            add("mine", **options)
        assert (error.value.code, "--replace" in error.value.hint) == ("model_exists", True)
    assert models.ensure("mine") == str(own)
    assert add("mine", path=other, anew=True).path == other
    assert models.ensure("mine") == str(other)


def test_the_same_source_mends_a_damaged_model(home: Path, tmp_path: Path) -> None:
    own = tiny_folder(tmp_path / "own")
    model = add("mine", path=own, copy=True)
    (model.path / "model.safetensors").unlink()
    with pytest.raises(EngineUnavailable, match="damaged") as error:
        models.ensure("mine")
    assert f"burnish models add mine --replace --copy --path {own}" in error.value.hint
    assert add("mine", path=own, copy=True).ready


def test_a_model_is_not_made_of_itself(home: Path, tmp_path: Path) -> None:
    model = add("mine", path=tiny_folder(tmp_path / "own"), copy=True)
    for copy in (False, True):
        with pytest.raises(ConfigError, match="itself"):
            add("mine", path=model.path, copy=copy, anew=True)
    assert models.stored("mine").ready
    assert add("again", path=model.path).path == model.path


# --- checks and removal


def test_damage_is_found_on_use_and_by_check(home: Path, tmp_path: Path, burnish: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BURNISH_HOME", str(home))
    own = tiny_folder(tmp_path / "own")
    add("mine", path=own)
    os.utime(own / "config.json", (1, 1))
    assert not models.stored("mine").ready
    assert burnish("models", "check", "--json").data[0]["ready"]
    assert models.stored("mine").ready, "the check takes the new times over"
    weights = own / "model.safetensors"
    before = weights.stat()
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    os.utime(weights, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert models.stored("mine").ready, "neither size nor time tell"
    done = burnish("models", "check", "mine", "--json")
    assert (done.status, done.data[0]["ready"], done.data[0]["problem"]) == (
        1,
        False,
        "model.safetensors differs from its checksum",
    )
    shutil.rmtree(own)
    with pytest.raises(EngineUnavailable, match="is gone"):
        models.ensure("mine")
    assert "is gone" in burnish("models").out


def test_removal_asks_and_leaves_linked_files(home: Path, tmp_path: Path, burnish: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BURNISH_HOME", str(home))
    own = tiny_folder(tmp_path / "own")
    add("linked", path=own)
    copied = add("copied", path=own, copy=True)
    refused = burnish("models", "remove", "copied")
    assert (refused.status, "--yes" in refused.err, copied.path.is_dir()) == (2, True, True)
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    for answer, gone in (("\n", False), ("", False), ("no\n", False), ("y\n", True)):
        monkeypatch.setattr(sys.stdin, "readline", lambda answer=answer: answer, raising=False)
        assert burnish("models", "remove", "copied").status == (0 if gone else 1)
        assert copied.path.is_dir() != gone
    assert burnish("models", "remove", "linked", "--yes", "--json").data["linked"] is True
    assert own.is_dir()
    assert models.kept_names() == []
    for name in ("linked", "../home", "SmolLM2-135M-Instruct"):
        assert burnish("models", "remove", name, "--yes").status == 2
    assert left_over() == []


# --- the hub


def test_the_hub_out_of_reach(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("huggingface_hub")
    with pytest.raises(EngineUnavailable) as error:
        add("mine", hub="some/model")
    assert (error.value.code, "--path" in error.value.hint) == ("hub_unreachable", True)
    assert models.kept_names() == left_over() == []


class _Hub:
    """A stand-in for the hub, which no test can reach."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def HfApi(self) -> _Hub:
        return self

    def model_info(self, repository: str, **_: Any) -> Any:
        from types import SimpleNamespace as Namespace

        siblings = [Namespace(rfilename=f.name, size=f.stat().st_size) for f in self._folder.iterdir()]
        return Namespace(sha="c0ffee", siblings=siblings)

    def snapshot_download(self, repository: str, *, local_dir: Path, allow_patterns: list[str], **_: Any) -> None:
        for name in allow_patterns:
            shutil.copyfile(self._folder / name, local_dir / name)
        (local_dir / ".cache").mkdir()


def test_a_repository_of_the_hub(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    repository = tiny_folder(tmp_path / "repository")
    (repository / "tf_model.h5").write_bytes(b"not wanted")
    monkeypatch.setattr(models_sources, "import_module", lambda _: _Hub(repository))
    model = add("mine", hub="some/model")
    assert (model.source, model.ready) == ("hub:some/model@c0ffee", True)
    assert sorted(os.listdir(model.path)) == ["config.json", "manifest.json", "model.safetensors", "tokenizer.json"]
    (repository / "config.json").rename(repository / "weights.gguf")
    assert add("mine", hub="some/model") == model, "what is there is kept"
    with pytest.raises(ConfigError, match="GGUF files") as error:
        add("other", hub="some/model")
    assert "--gguf" in error.value.hint


# --- room, kills, two at once


def test_no_room(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = tiny_folder(tmp_path / "own")
    monkeypatch.setattr(models_place.shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(1, 1, 0))
    with pytest.raises(EngineUnavailable, match="GiB are free") as error:
        add("mine", path=own, copy=True)
    assert (error.value.code, "BURNISH_HOME" in error.value.hint) == ("disk_full", True)
    assert models.kept_names() == left_over() == []


def test_a_disk_that_fills_up_on_the_way(home: Path, tmp_path: Path) -> None:
    def fill(result: Path, scratch: Path) -> models_manifest.Manifest:
        (result / "half").write_text("half")
        raise OSError(28, "No space left on device")

    with pytest.raises(EngineUnavailable, match="No space left"), models_place.locked("mine", lambda _: None):
        models_place.put("mine", fill)
    assert models.kept_names() == left_over() == []


ADD = """
import sys, time
from pathlib import Path
from burnish.engine import models_add, models_sources

copyfile = models_sources.shutil.copyfile
def slow(source, target):
    print("copies", flush=True)
    time.sleep(float(sys.argv[3]))
    copyfile(source, target)

models_sources.shutil.copyfile = slow
print("ready", models_add.add(sys.argv[1], path=Path(sys.argv[2]), copy=True, say=print).ready, flush=True)
"""


def adder(name: str, folder: Path, seconds: float) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", ADD, name, str(folder), str(seconds)], stdout=subprocess.PIPE, text=True)


def test_two_at_once_do_the_work_once(home: Path, tmp_path: Path) -> None:
    own = tiny_folder(tmp_path / "own")
    both = [adder("mine", own, 0.3) for _ in range(2)]
    outputs = [process.communicate(timeout=60)[0] for process in both]
    assert all("ready True" in output for output in outputs)
    assert sum(output.count("copies") for output in outputs) == 3


def test_a_kill_leaves_no_model_and_names_do_not_meddle(home: Path, tmp_path: Path) -> None:
    own = tiny_folder(tmp_path / "own")
    killed, other = adder("mine", own, 600), adder("mine-2", own, 600)
    for process in (killed, other):
        assert process.stdout is not None
        while process.stdout.readline() != "copies\n":
            pass
    killed.kill()
    killed.communicate()
    assert (models.kept_names(), len(left_over())) == ([], 2)
    assert models.stored("mine").problem == "not there"
    assert add("mine", path=own, copy=True).ready
    assert [name.startswith(".partial-mine-2~") for name in left_over()] == [True]
    other.kill()
    other.communicate()


@needs_vllm
@pytest.mark.vllm
def test_a_trial_that_fails_says_what_to_do(home: Path, tmp_path: Path, burnish: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BURNISH_HOME", str(home))
    done = burnish("models", "add", "hollow", "--path", str(tiny_folder(tmp_path / "own")))
    assert done.status == 5
    assert "was added, but its trial failed" in done.err
    assert "burnish models remove hollow" in done.err
    assert models.kept_names() == ["hollow"]


def test_without_vllm_the_model_is_kept(home: Path, tmp_path: Path, burnish: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BURNISH_HOME", str(home))
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "vllm" else found(name))
    done = burnish("models", "add", "mine", "--path", str(tiny_folder(tmp_path / "own")))
    assert (done.status, "vLLM is not installed" in done.err) == (0, True)
    assert models.kept_names() == ["mine"]
