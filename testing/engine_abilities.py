"""Checks of capabilities: each that an engine claims is tried, and each that it does not claim must be refused."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any

import pytest

from ..core.engine import Engine, RewardEngine
from ..core.errors import BurnishError, EngineUnavailable
from ..core.prompt import ImagePart, Message, Prompt, TextPart
from ..core.sampling import Sampling
from .engine_calls import Calls

_SCHEMA = {
    "type": "object",
    "properties": {"burnish": {"type": "boolean"}},
    "required": ["burnish"],
    "additionalProperties": False,
}
_PIXEL = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


class Abilities(Calls):
    """What an engine can do, and what it refuses."""

    async def refused(self, engine: Engine, prompt: Prompt, sampling: Sampling) -> None:
        """Asking for what the engine does not claim is an error that says so."""
        with pytest.raises(EngineUnavailable):
            await engine.generate(prompt, sampling)

    async def test_the_same_seed_gives_the_same_text(self, engine: Engine) -> None:
        if not engine.info.capabilities.seed:
            pytest.skip("it promises nothing for a seed")
        once = await self.sample(engine, temperature=1.0, seed=7)
        again = await self.sample(engine, temperature=1.0, seed=7)
        assert (once.text, once.token_ids) == (again.text, again.token_ids)

    async def test_log_probabilities(self, engine: Engine) -> None:
        if not engine.info.capabilities.logprobs:
            await self.refused(engine, self.ask(), Sampling(logprobs=0))
            return
        done = await self.sample(engine, logprobs=0)
        self.check(engine, done)
        assert done.logprobs is not None
        assert len(done.logprobs) == done.tokens.completion
        assert all(math.isfinite(p) and p <= 0 for p in done.logprobs)
        assert done.logprob == sum(done.logprobs)
        assert done.top_logprobs is None, "the likeliest tokens were not asked for"

    async def test_the_likeliest_tokens(self, engine: Engine) -> None:
        if not engine.info.capabilities.logprobs:
            pytest.skip("it has no log-probabilities")
        try:
            done = await self.sample(engine, logprobs=2)
        except EngineUnavailable as e:
            pytest.skip(f"refused: {e.message}")
        assert done.top_logprobs is not None
        assert done.logprobs is not None
        assert len(done.top_logprobs) == len(done.logprobs)
        for likely in done.top_logprobs:
            assert 1 <= len(likely) <= 3  # the sampled one may come on top
            assert all(isinstance(token, int) and p <= 0 for token, p in likely.items())

    @pytest.mark.parametrize(
        "constraint",
        [
            {"json_schema": _SCHEMA},
            {"choice": ("burnish", "polish")},
            {"regex": "(burnish|polish) [0-9]{2}"},
            {"grammar": 'root ::= "burnish" | "polish"'},
        ],
        ids=["json_schema", "choice", "regex", "grammar"],
    )
    async def test_constraints(self, engine: Engine, constraint: Mapping[str, Any]) -> None:
        ((name, value),) = constraint.items()
        if name not in engine.info.capabilities.names():
            await self.refused(engine, self.ask(), Sampling(**constraint))
            return
        done = await self.sample(engine, max_tokens=64, **constraint)
        self.check(engine, done)
        assert done.finish_reason == "stop"
        if name == "json_schema":
            assert isinstance(json.loads(done.text)["burnish"], bool)
        elif name == "regex":
            assert re.fullmatch(value, done.text)
        else:
            assert done.text in ("burnish", "polish")

    async def test_an_answer_is_continued_from_its_tokens(self, engine: Engine) -> None:
        ask = self.ask()
        if not engine.info.capabilities.token_prefix:
            await self.refused(engine, Prompt(ask.messages, prefix_ids=(1, 2)), Sampling())
            return
        begun = await self.sample(engine, max_tokens=4)
        assert begun.token_ids is not None
        prompt = Prompt(ask.messages, prefix_ids=begun.token_ids)
        done = await engine.generate(prompt, Sampling(max_tokens=4, temperature=0.0))
        assert done.tokens.prompt == begun.tokens.prompt + len(begun.token_ids)
        assert not done.text.startswith(begun.text), "the prefix is not part of the completion"
        assert engine.count_tokens(prompt) >= done.tokens.prompt

    async def test_scores(self, engine: Engine) -> None:
        if not engine.info.capabilities.scoring:
            with pytest.raises(EngineUnavailable):
                await engine.score(self.ask(), ["one two"])
            return
        one, two = await engine.score(self.ask(), [" one", " one two three"])
        assert len(one.logprobs) >= 1
        assert len(two.logprobs) > len(one.logprobs)
        assert all(math.isfinite(p) and p <= 0 for p in (*one.logprobs, *two.logprobs))
        assert await engine.score(self.ask(), []) == []

    async def test_rewards(self, engine: Engine) -> None:
        if not engine.info.capabilities.rewards:
            pytest.skip("it gives no rewards")
        assert isinstance(engine, RewardEngine)
        reward = await engine.reward(self.ask(), "one two", raw=True)
        assert reward.values
        assert all(math.isfinite(v) for v in reward.values)

    async def test_an_image_that_it_cannot_see_is_refused(self, engine: Engine) -> None:
        if engine.info.capabilities.images:
            pytest.skip("it sees images")
        prompt = Prompt((Message("user", (TextPart("What is this?"), ImagePart(_PIXEL))),))
        with pytest.raises(BurnishError):
            await engine.generate(prompt, Sampling(max_tokens=4))
