"""Where an added model comes from: a GGUF file, a folder, or the hub. Each says what it is and writes the model's files."""

from __future__ import annotations

import os
import re
import shutil
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

from ..core.errors import BurnishError, ConfigError, EngineUnavailable
from ..core.text import one_line
from . import models_gguf
from .models import Say
from .models_convert import convert
from .models_folder import check_folder, check_names
from .models_manifest import Manifest, describe, sha256, written
from .models_place import check_room

HUB_SECONDS = 10.0
"""How long the hub may take to answer."""
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")
_SPARE = 64 << 20


class Source(Protocol):
    """One place that a model can come from. Making it has checked what costs little to check."""

    @property
    def text(self) -> str:
        """What is recorded of it."""
        ...

    def same(self, recorded: str) -> bool:
        """Whether a recorded text means this source."""
        ...

    def fill(self, name: str, result: Path, scratch: Path, say: Say) -> Manifest:
        """Write the model's files into `result`, and describe them."""
        ...


class GgufSource:
    """A GGUF file, converted once; known by its content, wherever it lies."""

    def __init__(self, path: Path) -> None:
        self._path = path.expanduser().absolute()
        self._file = models_gguf.checked(self._path)
        self._digest = sha256(self._path)
        self.text = f"gguf:{path.name}@sha256:{self._digest[:16]}"

    def same(self, recorded: str) -> bool:
        return recorded.startswith("gguf:") and recorded.endswith(f"@sha256:{self._digest[:16]}")

    def fill(self, name: str, result: Path, scratch: Path, say: Say) -> Manifest:
        size = 2 * self._file.parameters
        check_room(size + _SPARE, f"the converted {self._path.name}")
        fields = self._file.fields
        if "tokenizer.chat_template" not in fields:
            say("the file has no chat template: the model takes token ids only, no messages")
        if fields.get("tokenizer.ggml.model") == "gpt2" and "tokenizer.ggml.pre" not in fields:
            say("the file does not say how its tokenizer parts text: taken to do as GPT-2's")
        say(f"converting {self._path.name} to bf16 ({size / 2**30:.1f} GiB, once)")
        convert(self._path, result)
        return describe(result, written(result), name=name, source=self.text)


class FolderSource:
    """A folder of the user's, linked by its path or copied."""

    def __init__(self, path: Path, *, copy: bool) -> None:
        self._root = path.expanduser().resolve()
        self._copy = copy
        self._files = check_folder(self._root)
        self.text = f"{'copy' if copy else 'path'}:{self._root}"

    @property
    def root(self) -> Path:
        """The folder itself."""
        return self._root

    def same(self, recorded: str) -> bool:
        return recorded == self.text

    def fill(self, name: str, result: Path, scratch: Path, say: Say) -> Manifest:
        size = sum(file.stat().st_size for file in self._files)
        say(f"{'copying' if self._copy else 'reading'} {self._root} ({size / 2**30:.1f} GiB)")
        if not self._copy:
            return describe(self._root, self._files, name=name, source=self.text, link=True)
        check_room(size + _SPARE, f"the copy of {self._root}")
        for file in self._files:
            shutil.copyfile(file, result / file.name)
        return describe(result, written(result), name=name, source=self.text)


class HubSource:
    """A repository of the hub, downloaded at its newest commit."""

    def __init__(self, hub_id: str) -> None:
        if not _HUB_ID.fullmatch(hub_id):
            raise ConfigError(
                f"{hub_id!r} is no id of the hub", hint="give OWNER/NAME; for a folder use --path, for a file --gguf"
            )
        self._id = hub_id
        self.text = f"hub:{hub_id}"

    def same(self, recorded: str) -> bool:
        return recorded.startswith(f"hub:{self._id}@")

    def fill(self, name: str, result: Path, scratch: Path, say: Say) -> Manifest:
        try:
            hub = import_module("huggingface_hub")
        except ImportError:
            raise EngineUnavailable("huggingface_hub is not installed", hint="burnish engine install") from None
        try:
            info = hub.HfApi().model_info(self._id, timeout=HUB_SECONDS, files_metadata=True)
            sizes = {str(s.rfilename): int(s.size or 0) for s in info.siblings or ()}
            files = check_names(sizes, f"the hub's {self._id}")
            size = sum(sizes[f] for f in files)
            check_room(size + _SPARE, self._id)
            say(f"downloading {self._id} from the hub ({size / 2**30:.1f} GiB)")
            hub.snapshot_download(self._id, revision=info.sha, local_dir=result, allow_patterns=files)
        except BurnishError:
            raise
        except Exception as e:
            raise self._failure(e) from None
        shutil.rmtree(result / ".cache", ignore_errors=True)
        check_folder(result)
        return describe(result, written(result), name=name, source=f"{self.text}@{info.sha}")

    def _failure(self, error: Exception) -> BurnishError:
        kinds = {kind.__name__ for kind in type(error).__mro__}
        if "GatedRepoError" in kinds:
            return ConfigError(
                f"the hub gives {self._id} only to those it knows", hint="accept its terms there, and set HF_TOKEN"
            )
        if "RepositoryNotFoundError" in kinds:
            return ConfigError(f"the hub has no {self._id}, or it is private", hint="check the id; HF_TOKEN opens private ones")
        if isinstance(error, OSError) and error.errno in _FULL:
            raise error
        offline = os.environ.get("HF_HUB_OFFLINE", "").lower() in ("1", "true", "yes", "on")
        why = "HF_HUB_OFFLINE is set" if offline else one_line(_root_of(error), 200)
        hint = "unset HF_HUB_OFFLINE" if offline else "check the network"
        return EngineUnavailable(
            f"the hub cannot be reached: {why}",
            code="hub_unreachable",
            hint=f"{hint}; or add a folder that was downloaded elsewhere, with --path",
            retryable=not offline,
        )


_FULL = {28, 122}
"""No space left on the device, and quota exceeded."""


def _root_of(error: BaseException) -> str:
    """The first cause of an error, which says what is wrong with the network."""
    seen: Any = error
    while (cause := seen.__cause__ or seen.__context__) is not None:
        seen = cause
    return f"{type(seen).__name__}: {seen}" if str(seen) else type(seen).__name__
