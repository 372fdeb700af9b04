"""The tokenizer of a converted GGUF file: set right where transformers does not follow the file, then held against it.

A tokenizer that parts text otherwise than in training gives a model that works, but worse; nothing would ever say so.
The names of the ways of parting are llama.cpp's.
"""

from __future__ import annotations

from collections.abc import Collection
from importlib import import_module
from typing import Any

from ..core.errors import ConfigError
from .gguf_file import GgufFile
from .models_gguf import CONTROL, KINDS, TOKENS

DIGITS = frozenset({"smollm", "starcoder", "refact", "command-r", "codeshell", "exaone", "minerva-7b"})
"""Each digit by itself, the rest as GPT-2 does."""
GPT2 = frozenset({"", "default", "gpt-2", "phi-2", "mpt", "olmo", "jais", "trillion", "granite-docling"})
WHOLE_WORDS = frozenset({"llama3", "llama-v3", "llama-bpe", "falcon3", "falcon-h1", "pixtral", "lfm2", "tekken"})
"""A piece that is a token stays one, whatever the merges say."""
SAMPLES = (
    "In 1 of 12  cases,\n\n345 + 6.78 = 351.78; don't  DON'T",
    "def f(x):\n\treturn [i**2 for i in range(10)]  # 3.14\n\n\n    if x != 0x1F:\n        pass",
    "naïve façade, 日本語 и русский 🎉 (e^{-x})",
)


def repair(tokenizer: Any, file: GgufFile) -> None:
    """Make a tokenizer part text as its file says.

    Raises:
        ConfigError: the file names a way of parting that is not known.
    """
    if file.fields.get("tokenizer.ggml.model") != "gpt2":
        return
    way = str(file.fields.get("tokenizer.ggml.pre", ""))
    backend = tokenizer.backend_tokenizer
    if way in DIGITS:
        parts = import_module("tokenizers.pre_tokenizers")
        backend.pre_tokenizer = parts.Sequence([parts.Digits(individual_digits=True), parts.ByteLevel(add_prefix_space=False)])
    elif (known := _known_to_transformers()) is not None and way not in known and way not in GPT2:
        raise ConfigError(f"it parts text in a way of its own, {way!r}", hint="add the model's original folder with --path")
    if way in WHOLE_WORDS:
        backend.model.ignore_merges = True


def check(loaded: Any, converted: Any, file: GgufFile) -> None:
    """Hold the tokenizer as it is loaded from its folder against the converted one and against the file.

    Raises:
        ConfigError: a token has another number, a special one is parted, or text does not come back as it was.
    """
    hint = "add the model's original folder with --path, or its id with --hub"
    tokens = file.fields[TOKENS]
    for number, (token, got) in enumerate(zip(tokens, loaded.convert_ids_to_tokens(list(range(len(tokens)))), strict=True)):
        if got != token and token.isascii() and token.strip():
            raise ConfigError(f"its tokenizer did not survive: token {number} is {got!r}, not {token!r}", hint=hint)
    for number, (token, kind) in enumerate(zip(tokens, file.fields.get(KINDS, []), strict=False)):
        if kind == CONTROL and token.isascii() and _ids(loaded, token) != [number]:
            raise ConfigError(f"its tokenizer did not survive: {token} is parted", hint=hint)
    for sample in SAMPLES:
        ids = _ids(loaded, sample)
        if ids != _ids(converted, sample):
            raise ConfigError("its tokenizer did not survive: once saved, it parts text otherwise", hint=hint)
        if loaded.unk_token_id not in ids and loaded.decode(ids).strip() != sample:
            raise ConfigError("its tokenizer did not survive: text does not come back as it was", hint=hint)


def _ids(tokenizer: Any, text: str) -> list[int]:
    return tokenizer(text, add_special_tokens=False)["input_ids"]


def _known_to_transformers() -> Collection[str] | None:
    """The ways that transformers has patterns for; None for a version that has no such table."""
    try:
        return import_module("transformers.integrations.gguf.gguf_tokenizer_mapping").GGUF_PRE_TOKENIZER_SPLITS
    except (ImportError, AttributeError):
        return None
