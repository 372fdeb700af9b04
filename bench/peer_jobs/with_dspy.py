"""dspy's BestOfN: one attempt after another, whatever the width. It keeps nothing."""

import asyncio
from types import SimpleNamespace

import dspy
from fake import PROMPT, answer, score


class Fake(dspy.BaseLM):
    def forward(self, prompt=None, messages=None, **kwargs):
        text = answer({**self.kwargs, **kwargs}.get("rollout_id", 0))
        message = SimpleNamespace(content=f"[[ ## answer ## ]]\n{text}\n\n[[ ## completed ## ]]")
        choice = SimpleNamespace(message=message, finish_reason="stop", logprobs=None)
        return SimpleNamespace(choices=[choice], usage={}, model="fake")


async def job(n, width):
    module = dspy.Predict("question -> answer")
    module.set_lm(Fake("fake", cache=False))
    best = dspy.BestOfN(module=module, N=n, reward_fn=lambda args, found: score(found.answer), threshold=1.0)
    return (await asyncio.to_thread(best, question=PROMPT)).answer
