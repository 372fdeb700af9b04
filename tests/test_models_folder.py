"""Folders as sources of models: linked, copied, refused."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from burnish.core.errors import ConfigError
from burnish.engine import models
from tests.models_kit import add, home, left_over, tiny_folder

__all__ = ["home"]


def test_a_folder_is_linked(home: Path, tmp_path: Path) -> None:
    own = tiny_folder(tmp_path / "own")
    model = add("mine", path=own)
    assert (model.path, model.linked, model.ready, model.dtype) == (own, True, True, "bfloat16")
    assert model.bytes == sum(f.stat().st_size for f in own.iterdir())
    assert models.ensure("mine") == str(own)
    assert models.revision_of(str(own)) == model.revision
    assert os.listdir(home / "models" / "mine") == ["manifest.json"]
    assert [m.name for m in models.all_models()] == [models.DEFAULT_MODEL, "mine"]
    assert left_over() == []


def test_a_folder_is_copied_with_what_belongs_to_the_model(home: Path, tmp_path: Path) -> None:
    own = tiny_folder(tmp_path / "own")
    (own / "README.md").write_text("no part of it")
    (own / "pytorch_model.bin").write_bytes(b"the same weights once more")
    (own / "extra").mkdir()
    model = add("mine", path=own, copy=True)
    shutil.rmtree(own)
    assert models.ensure("mine") == str(model.path) == str(home / "models" / "mine")
    assert sorted(os.listdir(model.path)) == ["config.json", "manifest.json", "model.safetensors", "tokenizer.json"]


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda f: (f / "config.json").unlink(), "no config.json"),
        (lambda f: (f / "config.json").write_text("{"), "no JSON"),
        (lambda f: (f / "config.json").write_text("[]"), "no JSON object"),
        (lambda f: (f / "config.json").write_text("{}"), "no kind of model"),
        (lambda f: (f / "tokenizer.json").unlink(), "no tokenizer"),
        (lambda f: (f / "model.safetensors").unlink(), "no weights"),
        (lambda f: (f / "model.safetensors").write_bytes(b""), "cut off"),
        (lambda f: (f / "model.safetensors").write_bytes(b"\xff" * 100), "cut off"),
        (lambda f: os.truncate(f / "model.safetensors", 100), "cut off"),
        (
            lambda f: (f / "model.safetensors.index.json").write_text('{"weight_map": {"a": "lost.safetensors"}}'),
            "lacks 1 of its 1",
        ),
        (lambda f: shutil.rmtree(f), "no folder"),
    ],
)
def test_folders_that_hold_no_model(home: Path, tmp_path: Path, spoil: Any, message: str) -> None:
    own = tiny_folder(tmp_path / "own")
    spoil(own)
    with pytest.raises(ConfigError, match=message) as error:
        add("mine", path=own)
    assert error.value.hint
    assert models.kept_names() == []


def test_hints_to_the_right_option(home: Path, tmp_path: Path) -> None:
    (tmp_path / "some.gguf").write_bytes(b"GGUF")
    for options in ({"path": tmp_path}, {"path": tmp_path / "some.gguf"}):
        with pytest.raises(ConfigError) as error:
            add("mine", **options)
        assert "--gguf" in error.value.hint
    (tmp_path / "some.gguf").unlink()
    (tmp_path / "adapter_config.json").write_text("{}")
    with pytest.raises(ConfigError, match="adapter"):
        add("mine", path=tmp_path)
