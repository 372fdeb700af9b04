"""What transformers does not read in a GGUF file: whether it is a whole model, what ends a turn, and the rotary scaling."""

from __future__ import annotations

import math
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ..core.errors import ConfigError, EngineUnavailable
from .gguf_file import GgufFile, read_gguf
from .install import missing_for_conversion

TOKENS, KINDS = "tokenizer.ggml.tokens", "tokenizer.ggml.token_type"
ARRAYS = (TOKENS, KINDS)
"""The metadata arrays that a conversion reads."""
CONTROL = 3
"""GGML's number for a token that is no text."""
_ENDS = ("eos", "eot", "eom")
_END_TOKENS = {
    "<|eot_id|>", "<|im_end|>", "<|end|>", "<end_of_turn>", "<|endoftext|>", "<|end_of_text|>", "<|eom_id|>", "<|return|>",
}  # fmt: skip


def checked(path: Path) -> GgufFile:
    """The head of a file that looks as if it could be converted.

    Raises:
        ConfigError: it is damaged, or holds something else than a whole language model.
        EngineUnavailable: what converting needs is not installed.
    """
    absent = [name for name in ("torch", "transformers") if find_spec(name) is None]
    if missing := [*absent, *missing_for_conversion()]:
        raise EngineUnavailable(f"converting a GGUF file needs {', '.join(missing)}", hint="burnish engine install")
    file = read_gguf(path)
    kind = file.fields.get("general.type", "model")
    if kind != "model" or not file.architecture:
        raise ConfigError(f"{path} holds no language model, but {kind!r}", hint="give the file with the model's weights")
    parts = file.fields.get("split.count", 1)
    if isinstance(parts, int) and parts > 1:
        raise ConfigError(f"{path} is one of {parts} parts", hint="join them: llama-gguf-split --merge FIRST JOINED")
    if TOKENS not in file.fields:
        raise ConfigError(f"{path} holds no vocabulary", hint="give the file with the whole model")
    return file


def endings(file: GgufFile) -> list[int]:
    """Ids of the tokens that end a turn or a text: those named as such, and those known by their text."""
    named = [file.fields.get(f"tokenizer.ggml.{end}_token_id") for end in _ENDS]
    tokens, kinds = file.fields[TOKENS], file.fields.get(KINDS, [])
    known = [i for i, (token, kind) in enumerate(zip(tokens, kinds, strict=False)) if kind == CONTROL and token in _END_TOKENS]
    return list(dict.fromkeys([*(i for i in named if i is not None), *known]))


def rope_scaling(file: GgufFile) -> dict[str, Any]:
    """The rotary scaling of a Llama 3 model, which the file keeps as a tensor of factors; empty if there is none.

    Raises:
        ConfigError: the factors are not those of Llama 3.
    """
    found = file.floats("rope_freqs.weight")
    if not found:
        return {}
    scaling = {
        "rope_type": "llama3",
        "factor": round(max(found), 4),
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8192,
    }
    base = float(file.fields.get(f"{file.architecture}.rope.freq_base", 10000.0))
    expected = [_llama3_factor(base ** (-i / len(found)), scaling) for i in range(len(found))]
    if any(not math.isclose(a, b, rel_tol=1e-2) for a, b in zip(found, expected, strict=True)):
        raise ConfigError("its rotary scaling is unknown", hint="add the model's original folder with --path, or --hub")
    return scaling


def _llama3_factor(frequency: float, scaling: dict[str, Any]) -> float:
    """By how much Llama 3 divides a frequency: not at all where it is high, by the whole factor where it is low."""
    low, high, factor = scaling["low_freq_factor"], scaling["high_freq_factor"], scaling["factor"]
    turns = scaling["original_max_position_embeddings"] * frequency / (2 * math.pi)
    if turns > high:
        return 1.0
    if turns < low:
        return factor
    smooth = (turns - low) / (high - low)
    return 1 / ((1 - smooth) / factor + smooth)
