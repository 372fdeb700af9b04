"""its_hub's BestOfN. It keeps nothing."""

from fake import PROMPT, answer, score
from its_hub import BestOfN, LMOrchestrator
from its_hub.api.lm import AbstractLanguageModel
from its_hub.api.reward_models.orm import AbstractOutcomeRewardModel


class Fake(AbstractLanguageModel):
    def __init__(self, n):
        self.numbers = iter(range(n))

    async def agenerate_single(self, messages, stop=None, **rest):
        return {"role": "assistant", "content": answer(next(self.numbers))}

    async def agenerate(self, messages, stop=None, **rest):
        return [await self.agenerate_single(m, stop, **rest) for m in messages]


class Reward(AbstractOutcomeRewardModel):
    async def ascore(self, conversations, orchestrator=None, **rest):
        return [score(c[-1].content if hasattr(c[-1], "content") else c[-1]["content"]) for c in conversations]

    def score(self, conversations, **rest):
        raise NotImplementedError


async def job(n, width):
    algorithm = BestOfN(Reward(), LMOrchestrator(max_concurrency=width))
    found = await algorithm.ainfer(Fake(n), PROMPT, n)
    return found["content"] if isinstance(found, dict) else found.the_one["content"]
