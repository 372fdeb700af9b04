"""What a call of an engine asks for: its description, the hash by which the journal knows it, the most it may cost."""

from __future__ import annotations

from functools import lru_cache

from .budget import Budget, Spend
from .engine import Engine, most_usd
from .ids import Json, json_hash
from .prompt import Prompt
from .sampling import Sampling


def described(role: str, model: str, prompt: Prompt, sampling: Sampling) -> tuple[dict[str, Json], str]:
    """What a call asks for, and its hash. Samples of one prompt are alike, so the newest are kept at hand."""
    try:
        return _described_once(role, model, prompt, sampling)
    except TypeError:  # A JSON Schema cannot be hashed.
        return _described_once.__wrapped__(role, model, prompt, sampling)


@lru_cache(maxsize=256)
def _described_once(role: str, model: str, prompt: Prompt, sampling: Sampling) -> tuple[dict[str, Json], str]:
    request: dict[str, Json] = {"role": role, "model": model, "sampling": sampling.to_json()}
    return request, json_hash({**request, "prompt": prompt.to_json()})


def most_spend(engine: Engine, budget: Budget, prompt: Prompt, sampling: Sampling) -> Spend:
    """The most that a call may cost, to be held until it is through. Only what the budget limits is counted."""
    most = sampling.max_tokens
    asked = engine.count_tokens(prompt) if budget.tokens is not None or budget.usd is not None else 0
    usd = most_usd(engine, asked, most) if budget.usd is not None else 0.0
    return Spend(calls=1, tokens=asked + most, output_tokens=most, usd=usd or 0.0)
