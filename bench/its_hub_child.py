"""its_hub at work, in a process and a virtual environment of its own, where burnish is not installed.

The first line of its input is the job, as JSON. It asks its parent for what both sides must have alike: the verifier's scores
(`{"score": ...}`) and the keys that votes are counted under (`{"keys": ...}`). The last line that it prints is the result.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from typing import Any, TextIO

_PARENT: list[TextIO] = []
_LINE = threading.Lock()
_ASKING = ThreadPoolExecutor(1)  # not the loop's own threads: its_hub's limit waits in those


def say(value: Mapping[str, Any]) -> None:
    """A line to the parent, on the descriptor that was the standard output."""
    _PARENT[0].write(json.dumps(value) + "\n")
    _PARENT[0].flush()


def ask(question: Mapping[str, Any]) -> Any:
    """The parent's answer."""
    with _LINE:
        say(question)
        return json.loads(sys.stdin.readline())


def algorithm(task: Mapping[str, Any], job: Mapping[str, Any], orchestrator: Any) -> Any:
    """its_hub's algorithm for one task."""
    hub = import_module("its_hub")
    if job["algorithm"] == "self_consistency":

        def projected(text: str) -> str:
            return ask({"keys": task["id"], "texts": [text]})[0] or ""

        return hub.SelfConsistency(projected, orchestrator=orchestrator)

    class Reward(hub.AbstractOutcomeRewardModel):
        async def ascore(self, conversations: Any, **_: Any) -> list[float]:
            texts = [turns[-1].content or "" for turns in conversations]
            asked: Callable[[], Any] = lambda: ask({"score": task["id"], "texts": texts})  # noqa: E731
            return await asyncio.get_running_loop().run_in_executor(_ASKING, asked)

        def score(self, *_: Any, **__: Any) -> Any:
            raise NotImplementedError

    return hub.BestOfN(Reward(), orchestrator=orchestrator)


async def work(job: Mapping[str, Any]) -> dict[str, Any]:
    """All tasks at once, behind one limit on the calls in flight."""
    hub, message = import_module("its_hub"), import_module("its_hub.api").ChatMessage
    orchestrator = hub.LMOrchestrator(max_concurrency=job["limit"])
    models = {
        (task["max_tokens"], task["temperature"]): hub.OpenAICompatibleLanguageModel(
            job["url"], "none", job["model"], max_completion_tokens=task["max_tokens"], temperature=task["temperature"]
        )
        for task in job["tasks"]
    }
    tokens = 0

    async def one(task: Mapping[str, Any]) -> tuple[str, str | None]:
        nonlocal tokens
        turns = [message(**m) for m in task["messages"]]
        model = models[task["max_tokens"], task["temperature"]]
        try:
            found = await algorithm(task, job, orchestrator).ainfer(model, turns, job["n"], return_response_only=False)
        except Exception as e:
            print(f"{task['id']}: {e}", file=sys.stderr)
            return task["id"], None
        tokens += found.usage.completion_tokens
        return task["id"], found.the_one.get("content")

    began = time.perf_counter()
    answers = dict(await asyncio.gather(*(one(task) for task in job["tasks"])))
    seconds = time.perf_counter() - began
    for model in models.values():
        await model.close()
    return {"seconds": seconds, "answers": answers, "tokens": tokens, "version": hub.__version__}


if __name__ == "__main__":
    _PARENT.append(os.fdopen(os.dup(1), "w", encoding="utf-8"))
    os.dup2(2, 1)  # its_hub prints its retries
    say({"done": asyncio.run(work(json.loads(sys.stdin.readline())))})
