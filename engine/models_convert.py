"""Turns a GGUF file into a folder that vLLM loads, in a process of its own, so that torch's memory ends with it.

Weights are written in bf16. The process ends with the one that started it, even where that was killed.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
import threading
from importlib import import_module
from pathlib import Path
from typing import Any

from ..core.errors import BurnishError, ConfigError, EngineUnavailable
from ..core.text import one_line
from .gguf_file import read_gguf
from .models_gguf import ARRAYS, endings, rope_scaling
from .models_tokenizer import check, repair

REFUSED = 3
"""Exit status of a process that says on stdout why the file cannot be converted."""
_FULL = re.compile(r"No space left on device|Disk quota exceeded")
_FOREIGN = re.compile(r"is not supported yet|Unrecognized configuration class|not supported: ")


def convert(gguf: Path, target: Path) -> None:
    """Write weights, tokenizer, chat template and configuration of a GGUF file to the folder `target`.

    Raises:
        ConfigError: the file holds a model that cannot be converted.
        EngineUnavailable: the conversion failed.
    """
    lifeline, end = os.pipe()
    process = subprocess.Popen(
        [sys.executable, "-m", "burnish.engine.models_convert", str(gguf), str(target)],
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
        stdin=lifeline,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
    )
    os.close(lifeline)
    try:
        out, err = process.communicate()
    except BaseException:
        process.kill()
        process.wait()
        raise
    finally:
        os.close(end)
    if process.returncode != 0:
        raise _failure(gguf, process.returncode, out, err)


def _failure(gguf: Path, status: int, out: str, err: str) -> BurnishError:
    if status == REFUSED:
        with contextlib.suppress(ValueError, KeyError, IndexError):
            said = json.loads(out.splitlines()[-1])
            return ConfigError(f"{gguf.name} cannot be converted: {said['message']}", hint=said["hint"], code="unsupported_model")
    lines = [line for line in err.splitlines() if line.strip()] or [f"exit status {status}"]
    if _FULL.search(err):
        hint = "make room there, or set BURNISH_HOME"
        return EngineUnavailable(f"the disk is full: {gguf.name} was not converted", code="disk_full", hint=hint)
    if found := next((line for line in reversed(lines) if _FOREIGN.search(line)), None):
        hint = "add the model's original folder with --path, or its id with --hub"
        return ConfigError(f"{gguf.name} cannot be converted: {one_line(found, 200)}", code="unsupported_model", hint=hint)
    if status < 0:
        why = f"the process was killed by signal {-status}"
        return EngineUnavailable(f"converting {gguf.name} failed: {why}", hint="was there enough memory? burnish doctor")
    return EngineUnavailable(f"converting {gguf.name} failed: {one_line(lines[-1], 300)}", hint="burnish doctor --fix")


def _work(gguf: Path, target: Path) -> None:
    torch, hf = import_module("torch"), import_module("transformers")
    file = read_gguf(gguf, ARRAYS)
    where: dict[str, Any] = {"pretrained_model_name_or_path": str(gguf.parent), "gguf_file": gguf.name}
    tokenizer = hf.AutoTokenizer.from_pretrained(**where)
    repair(tokenizer, file)
    model, loading = hf.AutoModelForCausalLM.from_pretrained(
        **where, quantization_config=hf.GgufConfig(dequantize=True), dtype=torch.bfloat16, output_loading_info=True
    )
    if missing := sorted(loading["missing_keys"]):
        raise ConfigError(f"it lacks weights: {one_line(', '.join(missing), 100)}", hint="is it a whole language model?")
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config  # the weights written are not quantised
    if scaling := rope_scaling(file):
        model.config.rope_parameters = {**model.config.rope_parameters, **scaling}
    if ids := endings(file):
        model.generation_config.eos_token_id = ids
    model.save_pretrained(target)
    tokenizer.save_pretrained(target)
    check(hf.AutoTokenizer.from_pretrained(str(target)), tokenizer, file)


def _end_with_parent() -> None:
    os.read(0, 1)
    os._exit(1)


def _main() -> int:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        _work(Path(sys.argv[1]), Path(sys.argv[2]))
    except ConfigError as e:
        print(json.dumps({"message": e.message, "hint": e.hint}))
        return REFUSED
    return 0


if __name__ == "__main__":
    sys.exit(_main())
