"""What a folder needs so that transformers and vLLM can load a model from it, and which of its files belong to the model."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Mapping
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, cast

from ..core.errors import ConfigError

INDEX = "model.safetensors.index.json"
_ALWAYS = ("*.json", "*.jinja", "*.txt", "*.model", "*.tiktoken", "*.py")
_WEIGHTS, _OLD_WEIGHTS = "*.safetensors", "pytorch_model*.bin"
_TOKENIZERS = ({"tokenizer.json"}, {"tokenizer.model"}, {"vocab.json", "merges.txt"}, {"tekken.json"})


def model_files(names: Iterable[str]) -> list[str]:
    """Those of the names in a folder that belong to the model."""
    plain = sorted(n for n in names if "/" not in n and n != "manifest.json")
    weights = [n for n in plain if fnmatch(n, _WEIGHTS)] or [n for n in plain if fnmatch(n, _OLD_WEIGHTS)]
    return [*weights, *(n for n in plain if any(fnmatch(n, pattern) for pattern in _ALWAYS))]


def check_names(names: Iterable[str], where: str) -> list[str]:
    """The files of a model among these names, if they are enough for one.

    Raises:
        ConfigError: the configuration, the weights or the tokenizer are missing.
    """
    there = list(names)
    files = model_files(there)
    if "config.json" not in files:
        if any(n.endswith(".gguf") for n in there):
            raise ConfigError(f"{where} has GGUF files and no config.json", hint="add one of the files with --gguf FILE")
        if "adapter_config.json" in files:
            raise ConfigError(f"{where} holds an adapter, no whole model", hint="merge it into its model first")
        raise ConfigError(f"{where} has no config.json", hint="give the folder that save_pretrained wrote")
    if not any(fnmatch(n, _WEIGHTS) or fnmatch(n, _OLD_WEIGHTS) for n in files):
        raise ConfigError(f"{where} has no weights", hint=f"vLLM reads {_WEIGHTS} or {_OLD_WEIGHTS}")
    if not any(tokenizer <= set(there) for tokenizer in _TOKENIZERS):
        raise ConfigError(
            f"{where} has no tokenizer", hint="it needs tokenizer.json, tokenizer.model, or vocab.json and merges.txt"
        )
    return files


def check_folder(folder: Path) -> list[Path]:
    """The files of a model's folder, looked into as far as costs nothing.

    Raises:
        ConfigError: something is missing, damaged or cut off.
    """
    if folder.is_file():
        hint = "for a GGUF file: --gguf" if folder.suffix == ".gguf" else "give the folder that the file is in"
        raise ConfigError(f"{folder} is a file", hint=hint)
    if not folder.is_dir():
        raise ConfigError(f"there is no folder {folder}", hint="check the path")
    try:
        files = [folder / name for name in check_names((p.name for p in folder.iterdir() if p.is_file()), str(folder))]
        if "model_type" not in (config := _object(folder / "config.json")) and "architectures" not in config:
            raise ConfigError(f"{folder}/config.json names no kind of model", hint="give the folder that save_pretrained wrote")
        if (folder / INDEX).is_file():
            _check_shards(folder)
        for file in files:
            if file.suffix == ".safetensors":
                _check_safetensors(file)
    except OSError as e:
        raise ConfigError(f"{e.filename or folder} cannot be read: {e.strerror or e}", hint="check its permissions") from None
    return files


def _check_shards(folder: Path) -> None:
    shards = _object(folder / INDEX).get("weight_map")
    names = {str(name) for name in cast("Mapping[str, Any]", shards).values()} if isinstance(shards, Mapping) else set[str]()
    if missing := sorted(name for name in names if not (folder / name).is_file()):
        raise ConfigError(
            f"{folder} lacks {len(missing)} of its {len(names)} weight files, as {missing[0]}", hint="download it again"
        )


def _check_safetensors(file: Path) -> None:
    """Compare a file's size with what its head says."""
    try:
        with file.open("rb") as stream:
            (length,) = struct.unpack("<Q", stream.read(8))
            if length > file.stat().st_size:
                raise ValueError
            head: Mapping[str, Any] = json.loads(stream.read(length))
        end = max((int(e["data_offsets"][1]) for name, e in head.items() if name != "__metadata__"), default=0)
    except (struct.error, ValueError, KeyError, TypeError, IndexError, AttributeError):
        raise ConfigError(f"{file} is no safetensors file, or is cut off", hint="download it again") from None
    if file.stat().st_size != 8 + length + end:
        raise ConfigError(f"{file} is cut off: a part of the file is missing", hint="download it again")


def _object(file: Path) -> Mapping[str, Any]:
    try:
        content = json.loads(file.read_text())
    except ValueError:
        raise ConfigError(f"{file} is no JSON", hint="download it again") from None
    if not isinstance(content, dict):
        raise ConfigError(f"{file} is no JSON object", hint="download it again")
    return cast("Mapping[str, Any]", content)
