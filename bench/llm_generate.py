"""`LLM.generate` on calls that come as JSON on stdin; prints `[[tokens, seconds], ...]`. Run by `throughput`."""

from __future__ import annotations

import json
import sys
import time
from importlib import import_module
from typing import Any

from .throughput import Sent, sampling_params


def main() -> None:
    """One warming repetition, then the counted ones."""
    work: dict[str, Any] = json.load(sys.stdin)
    llm = import_module("vllm").LLM(**work["args"])
    calls = [Sent(**call) for call in work["calls"]]
    prompts = [{"prompt_token_ids": call.ids} for call in calls]
    params = [sampling_params(call) for call in calls]
    rates: list[tuple[int, float]] = []
    for _ in range(work["repetitions"] + 1):
        began = time.perf_counter()
        outputs = llm.generate(prompts, params, use_tqdm=False)
        rates.append((sum(len(o.outputs[0].token_ids) for o in outputs), time.perf_counter() - began))
    print("\n" + json.dumps(rates[1:]), flush=True)


if __name__ == "__main__":  # vLLM starts its processes by spawn, which imports this file again
    main()
