"""Turns a GGUF file into a folder that vLLM loads. A program of its own, so that torch's memory ends with it."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import Any


def convert(gguf: Path, target: Path) -> None:
    """Write weights (bf16), tokenizer and configuration of a GGUF file to `target`."""
    torch, hf = import_module("torch"), import_module("transformers")
    where: dict[str, Any] = {"pretrained_model_name_or_path": str(gguf.parent), "gguf_file": gguf.name}
    tokenizer = hf.AutoTokenizer.from_pretrained(**where)
    model = hf.AutoModelForCausalLM.from_pretrained(
        **where, quantization_config=hf.GgufConfig(dequantize=True), dtype=torch.bfloat16
    )
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config  # the weights written are not quantised
    model.save_pretrained(target)
    tokenizer.save_pretrained(target)


if __name__ == "__main__":
    convert(Path(sys.argv[1]), Path(sys.argv[2]))
