"""What the tests of models share: a home for them, and models made in a moment, as a GGUF file or a folder."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import pytest

from burnish.engine import models, models_add

CHAT = (
    "{% for m in messages %}{{ '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>\\n' }}{% endfor %}"
    "{{ '<|im_start|>assistant\\n' }}"
)
MERGES = ["Ġ Ġ", "Ċ Ċ", "t h", "th e", "Ġ the", "r e", "Ġ 1", "1 2", "i n", "Ġ in"]
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
HIDDEN, HEADS, LAYERS = 64, 2, 2


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of burnish's own, with no network."""
    monkeypatch.setenv("BURNISH_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    return tmp_path / "home"


def add(name: str, **options: Any) -> models.StoredModel:
    return models_add.add(name, say=lambda _: None, **options)


def left_over() -> list[str]:
    """What is in the models' folder but models and locks."""
    return [p.name for p in models.models_folder().iterdir() if p.name.startswith(".partial")]


def byte_letters() -> list[str]:
    """The 256 letters that stand for bytes in a byte-level vocabulary, as GPT-2 orders them."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    return [*map(chr, plain), *(chr(256 + i) for i in range(256 - len(plain)))]


def vocabulary() -> list[str]:
    return [*byte_letters(), *(merge.replace(" ", "") for merge in MERGES), *SPECIAL]


def tiny_gguf(
    path: Path,
    *,
    architecture: str = "llama",
    pre: str | None = "smollm",
    without: str = "",
    factors: list[float] | None = None,
    rope_base: float = 10000.0,
    **fields: Any,
) -> Path:
    """A model that any text goes through. `fields` add metadata, two underscores for a dot; `without` names a tensor to omit,
    `factors` are those of rotary scaling.
    """
    import gguf
    import numpy as np

    tokens = vocabulary()
    end, begin, turn = (len(tokens) - len(SPECIAL) + i for i in range(3))
    writer = gguf.GGUFWriter(str(path), architecture)
    writer.add_name("tiny")
    writer.add_context_length(128)
    writer.add_embedding_length(HIDDEN)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(2 * HIDDEN)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_rope_freq_base(rope_base)
    writer.add_rope_dimension_count(HIDDEN // HEADS)
    writer.add_tokenizer_model("gpt2")
    if pre is not None:
        writer.add_tokenizer_pre(pre)
    writer.add_token_list(tokens)
    writer.add_token_types([1] * (len(tokens) - len(SPECIAL)) + [3] * len(SPECIAL))
    writer.add_token_merges(MERGES)
    writer.add_bos_token_id(begin)
    writer.add_eos_token_id(turn)
    writer.add_pad_token_id(end)
    writer.add_chat_template(CHAT)
    for key, value in fields.items():
        name = key.replace("__", ".")
        (writer.add_string if isinstance(value, str) else writer.add_uint32)(name, value)
    random = np.random.default_rng(0)

    def tensor(name: str, *shape: int) -> None:
        if name != without:
            writer.add_tensor(name, random.normal(0, 0.05, shape).astype(np.float32))

    tensor("token_embd.weight", len(tokens), HIDDEN)
    tensor("output_norm.weight", HIDDEN)
    for i in range(LAYERS):
        for part in ("attn_q", "attn_k", "attn_v", "attn_output"):
            tensor(f"blk.{i}.{part}.weight", HIDDEN, HIDDEN)
            if architecture == "qwen2" and part != "attn_output":
                tensor(f"blk.{i}.{part}.bias", HIDDEN)
        tensor(f"blk.{i}.attn_norm.weight", HIDDEN)
        tensor(f"blk.{i}.ffn_norm.weight", HIDDEN)
        tensor(f"blk.{i}.ffn_gate.weight", 2 * HIDDEN, HIDDEN)
        tensor(f"blk.{i}.ffn_up.weight", 2 * HIDDEN, HIDDEN)
        tensor(f"blk.{i}.ffn_down.weight", HIDDEN, 2 * HIDDEN)
    if factors is not None:
        writer.add_tensor("rope_freqs.weight", np.array(factors, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def tiny_folder(folder: Path) -> Path:
    """A folder with the files of a model, right in form only."""
    folder.mkdir(parents=True)
    config = {"model_type": "llama", "architectures": ["LlamaForCausalLM"], "dtype": "bfloat16"}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "tokenizer.json").write_text("{}")
    safetensors(folder / "model.safetensors")
    return folder


def safetensors(file: Path, size: int = 64) -> Path:
    """A file of one tensor of zeros."""
    head = json.dumps({"w": {"dtype": "BF16", "shape": [size // 2], "data_offsets": [0, size]}}).encode()
    file.write_bytes(struct.pack("<Q", len(head)) + head + bytes(size))
    return file
