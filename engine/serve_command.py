"""The command line that serves a model with vLLM on loopback, with the settings that the engine `vllm` has on this machine.

It is `vllm serve` by its module: the command itself fails on the CPU build, which it looks for under the name of the other one.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from ..core.errors import ConfigError
from .install import installed
from .vllm_core import CPU_KV_CACHE_GIB

_OURS = ("host", "port", "uds", "api_key", "model", "model_tag", "served_model_name", "config", "headless")
"""Arguments of `vllm serve` that decide on where it listens, who may call it and what it is called."""
CONTEXT = 4096
"""Most tokens of prompt and answer together on a CPU, unless told otherwise."""


def vllm_command(path: str, *, name: str, port: int, args: Mapping[str, str] | None = None) -> tuple[list[str], dict[str, str]]:
    """The command that serves the model at `path`, called `name`, and what its environment has besides.

    `args` are further arguments of `vllm serve`, by names with underscores; `true` and `false` switch a flag.

    Raises:
        ConfigError: an argument that is not the caller's to choose.
    """
    given = dict(args or {})
    for key in given:
        if key.replace("-", "_") in _OURS or not key.replace("-", "_").isidentifier():
            raise ConfigError(f"the argument {key} is not open to choice", hint="those of a model and its limits are")
    command = [sys.executable, "-m", "vllm.entrypoints.openai.api_server"]
    # Who leaves a setting open gets the protocol's default, not the model's.
    command += ["--enable-prefix-caching", "--enable-prompt-tokens-details", "--generation-config", "vllm"]
    env = {"VLLM_WORKER_MULTIPROC_METHOD": "spawn", "VLLM_NO_USAGE_STATS": "1"}
    if Path(path).is_dir():
        env |= {"HF_HUB_OFFLINE": "1"}
    if all(one.device == "cpu" for one in installed()):
        context = given.setdefault("max_model_len", str(CONTEXT))
        given.setdefault("max_num_seqs", "64")
        # A prompt with a seed of its own that is prefilled in pieces kills the CPU build; blocks of 128 cache too little.
        command += ["--no-enable-chunked-prefill", "--max-num-batched-tokens", context, "--block-size", "32"]
        command += ["--enforce-eager"]
        env |= {"VLLM_CPU_KVCACHE_SPACE": str(CPU_KV_CACHE_GIB), "TORCH_COMPILE_DISABLE": "1"}
    for key, value in given.items():
        flag = key.replace("_", "-")
        if value.lower() in ("true", "false"):
            command.append(f"--{flag}" if value.lower() == "true" else f"--no-{flag}")
        else:
            command += [f"--{flag}={value}"]
    # Last, since the last one counts.
    command += ["--model", path, "--served-model-name", name, "--host", "127.0.0.1", "--port", str(port)]
    return command, env
