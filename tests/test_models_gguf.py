"""GGUF files: what their heads say, what is refused, and what becomes of them when converted."""

from __future__ import annotations

import importlib.util
import json
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from burnish.core.errors import BurnishError, ConfigError
from burnish.engine import models, models_gguf
from burnish.engine.gguf_file import read_gguf
from tests.cli_kit import burnish
from tests.models_kit import HEADS, HIDDEN, add, home, left_over, tiny_gguf, vocabulary

__all__ = ["burnish", "home"]

needs_gguf = pytest.mark.skipif(importlib.util.find_spec("gguf") is None, reason="gguf is not installed")
needs_torch = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("gguf", "torch", "transformers", "accelerate")),
    reason="what converts models is not installed: burnish engine install",
)
needs_vllm = pytest.mark.skipif(importlib.util.find_spec("vllm") is None, reason="vLLM is not installed")


@needs_gguf
def test_the_head_of_a_gguf_file(tmp_path: Path) -> None:
    file = read_gguf(tiny_gguf(tmp_path / "tiny.gguf"), models_gguf.ARRAYS)
    assert (file.architecture, file.fields["tokenizer.ggml.tokens"]) == ("llama", vocabulary())
    assert file.fields["tokenizer.ggml.merges"] == 10, "an array that was not asked for is a length"
    assert file.parameters == sum(t.shape[0] * (t.shape[1] if len(t.shape) > 1 else 1) for t in file.tensors.values())
    assert len(file.floats("output_norm.weight")) == HIDDEN
    assert models_gguf.endings(file) == [268, 266]


@needs_gguf
def test_a_gguf_file_that_is_cut_anywhere(tmp_path: Path) -> None:
    whole = tiny_gguf(tmp_path / "tiny.gguf").read_bytes()
    cut = tmp_path / "cut.gguf"
    for size in (*range(4, 200), *range(200, len(whole), 9973), len(whole) - 1):
        cut.write_bytes(whole[:size])
        with pytest.raises(ConfigError, match="cut off"):
            read_gguf(cut)


@needs_gguf
def test_rubbish_in_a_gguf_file_is_an_error_of_one_kind(tmp_path: Path) -> None:
    whole = tiny_gguf(tmp_path / "tiny.gguf").read_bytes()
    spoilt, dice = tmp_path / "spoilt.gguf", random.Random(0)
    refused = 0
    for _ in range(300):
        content = bytearray(whole)
        for _ in range(3):
            content[dice.randrange(4, 9000)] = dice.randrange(256)
        spoilt.write_bytes(content)
        try:
            read_gguf(spoilt)
        except BurnishError as e:
            refused += bool(e.hint)
    assert refused > 100


@needs_torch
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read"),
        (b"", "no GGUF file"),
        (b"GGML" + bytes(99), "no GGUF file"),
        (b"GGUF\1\0\0\0" + bytes(99), "version 1"),
    ],
)
def test_files_that_are_no_gguf(home: Path, tmp_path: Path, content: bytes | None, message: str) -> None:
    if content is not None:
        (tmp_path / "x.gguf").write_bytes(content)
    with pytest.raises(ConfigError, match=message):
        add("mine", gguf=tmp_path / "x.gguf")
    with pytest.raises(ConfigError, match="is a folder"):
        add("mine", gguf=tmp_path)


@needs_torch
@pytest.mark.parametrize(
    ("fields", "message"), [({"general__type": "mmproj"}, "no language model"), ({"split__count": 3}, "one of 3 parts")]
)
def test_gguf_files_that_are_no_whole_model(tmp_path: Path, fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        models_gguf.checked(tiny_gguf(tmp_path / "tiny.gguf", **fields))


@needs_gguf
def test_the_rotary_scaling_of_llama_3(tmp_path: Path) -> None:
    # Of Llama 3.2 1B: 32 frequencies of base 500,000, the low ones divided by 32.
    turns = [8192 * 500_000 ** (-i / 32) / (2 * 3.141592653589793) for i in range(32)]
    factors = [1.0 if t > 4 else 32.0 if t < 1 else 1 / ((1 - (t - 1) / 3) / 32 + (t - 1) / 3) for t in turns]
    file = read_gguf(tiny_gguf(tmp_path / "a.gguf", factors=factors, rope_base=500_000.0))
    assert models_gguf.rope_scaling(file)["factor"] == 32.0
    other = read_gguf(tiny_gguf(tmp_path / "b.gguf", factors=[2.0] * 32))
    with pytest.raises(ConfigError, match="rotary scaling"):
        models_gguf.rope_scaling(other)
    assert models_gguf.rope_scaling(read_gguf(tiny_gguf(tmp_path / "c.gguf"))) == {}


@needs_torch
def test_a_gguf_file_is_converted(home: Path, tmp_path: Path, burnish: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from transformers import AutoTokenizer

    monkeypatch.setenv("BURNISH_HOME", str(home))
    file = tiny_gguf(tmp_path / "tiny.gguf")
    done = burnish("models", "add", "tiny", "--gguf", str(file), "--no-smoke", "--json")
    assert done.status == 0, done.err
    model = models.stored("tiny")
    assert done.data == {**model.to_json(), "smoke": None}
    assert (model.ready, model.dtype, model.linked) == (True, "bfloat16", False)
    assert model.source.startswith("gguf:tiny.gguf@sha256:")
    config = json.loads((model.path / "config.json").read_text())
    assert (config["architectures"], config["num_attention_heads"]) == (["LlamaForCausalLM"], HEADS)
    assert json.loads((model.path / "generation_config.json").read_text())["eos_token_id"] == [268, 266]
    tokenizer = AutoTokenizer.from_pretrained(model.path)
    ids = tokenizer("the  12<|im_end|>", add_special_tokens=False)["input_ids"]
    # Digits stand alone, so the spaces before them stay together and "Ġ1" and "12" never come to be.
    assert tokenizer.convert_ids_to_tokens(ids) == ["the", "ĠĠ", "1", "2", "<|im_end|>"]
    rendered = tokenizer.apply_chat_template([{"role": "user", "content": "hi"}], tokenize=False)
    assert rendered == "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n"
    moved = shutil.copyfile(file, tmp_path / "renamed.gguf")
    assert add("tiny", gguf=moved) == model, "a file is known by its content"


@needs_torch
@pytest.mark.vllm
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"architecture": "sorcerer"}, "sorcerer is not supported"),
        ({"pre": "an-own-way"}, "an-own-way"),
        ({"without": "blk.1.ffn_up.weight"}, "lacks weights"),
    ],
)
def test_gguf_files_that_cannot_be_converted(home: Path, tmp_path: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as error:
        add("tiny", gguf=tiny_gguf(tmp_path / "tiny.gguf", **options))
    assert (error.value.code, bool(error.value.hint)) == ("unsupported_model", True)
    assert models.kept_names() == left_over() == []


@needs_torch
def test_a_conversion_ends_with_its_parent(home: Path, tmp_path: Path) -> None:
    file = tiny_gguf(tmp_path / "tiny.gguf")
    code = (
        "import sys, pathlib; from burnish.engine import models_add as m; m.add('a', gguf=pathlib.Path(sys.argv[1]), say=print)"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(file)], stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not (children := psutil.Process(process.pid).children()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    psutil.wait_procs(children, timeout=30)
    assert not any(child.is_running() and child.status() != psutil.STATUS_ZOMBIE for child in children)
    assert models.kept_names() == []
    assert not list(home.rglob("*.safetensors")), "it went on to its end"


@needs_vllm
@pytest.mark.vllm
def test_a_converted_model_generates(home: Path, tmp_path: Path, burnish: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BURNISH_HOME", str(home))
    file = tiny_gguf(tmp_path / "tiny.gguf", architecture="qwen2", pre="qwen2")
    done = burnish("models", "add", "tiny", "--gguf", str(file), "--json")
    assert done.status == 0, done.err
    assert (done.data["smoke"]["tokens"], done.data["smoke"]["chat"]) == (8, True)
