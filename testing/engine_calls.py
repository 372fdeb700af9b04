"""Checks of plain calls: counts, ends, watching, stopping, many at once, bad input."""

from __future__ import annotations

import asyncio
import json
from typing import ClassVar

import pytest

from ..core.completion import Completion, Delta
from ..core.engine import Engine, EngineInfo
from ..core.errors import BurnishError, GenerationFailed
from ..core.prompt import Message, Prompt
from ..core.sampling import Sampling
from ..core.stop import Stop

HANG_S = 120.0
"""Seconds after which a check that hangs is given up."""


class Calls:
    """What a call does. The answer to `prompt` must be at least eight tokens long and hold the text `stop`."""

    prompt: ClassVar[str] = "Count from one to twenty in words."
    stop: ClassVar[str] = " "
    """A text that occurs within the answer, not at its beginning."""
    many: ClassVar[int] = 16
    """Calls at once."""

    def ask(self) -> Prompt:
        """The prompt of the checks."""
        return Prompt.of(self.prompt)

    async def sample(self, engine: Engine, **sampling: object) -> Completion:
        """One call, by default short and greedy."""
        how = Sampling(max_tokens=16, temperature=0.0).but(**sampling)
        return await asyncio.wait_for(engine.generate(self.ask(), how), HANG_S)

    def check(self, engine: Engine, done: Completion) -> None:
        """What holds of every completion."""
        counts = done.tokens
        assert done.finish_reason in ("stop", "boundary", "length", "aborted")
        assert 0 <= counts.cached <= counts.prompt
        assert 0 <= counts.reasoning <= counts.completion
        assert counts.total == counts.prompt + counts.completion
        assert done.token_ids is None or len(done.token_ids) == counts.completion
        assert done.cost_usd >= 0
        assert counts.prompt <= engine.count_tokens(self.ask()), "count_tokens is no upper bound"

    async def test_it_is_an_engine_and_says_which(self, engine: Engine) -> None:
        assert isinstance(engine, Engine)
        info = engine.info
        assert isinstance(info, EngineInfo)
        assert info.kind
        assert info.model
        assert json.loads(json.dumps(info.to_json())) == info.to_json()
        assert engine.info == info, "an engine that says something else each time cannot be resumed"

    async def test_counts_add_up(self, engine: Engine) -> None:
        done = await self.sample(engine)
        self.check(engine, done)
        assert done.text
        assert done.tokens.prompt > 0
        assert 0 < done.tokens.completion <= 16
        assert done.logprobs is None
        assert done.top_logprobs is None

    async def test_an_answer_cut_at_its_limit_says_so(self, engine: Engine) -> None:
        done = await self.sample(engine, max_tokens=3)
        self.check(engine, done)
        assert done.finish_reason == "length", "an answer that was cut is taken for a whole one"
        assert done.tokens.completion == 3

    async def test_a_stop_text_ends_it_and_is_left_out(self, engine: Engine) -> None:
        done = await self.sample(engine, stop=(self.stop,))
        self.check(engine, done)
        assert self.stop not in done.text
        assert done.finish_reason == ("boundary" if engine.info.capabilities.steps else "stop")

    async def test_a_stop_text_is_kept_where_it_can_be(self, engine: Engine) -> None:
        if not engine.info.capabilities.steps:
            with pytest.raises(BurnishError):
                await self.sample(engine, stop=(self.stop,), keep_stop=True)
            return
        done = await self.sample(engine, stop=(self.stop,), keep_stop=True)
        assert done.text.endswith(self.stop)
        assert done.finish_reason == "boundary"

    async def test_a_watcher_sees_all_text_once(self, engine: Engine) -> None:
        seen: list[Delta] = []
        how = Sampling(max_tokens=16, temperature=0.0)
        done = await engine.generate(self.ask(), how, watch=seen.append)
        self.check(engine, done)
        assert "".join(d.text for d in seen) == seen[-1].so_far
        assert seen[-1].so_far.startswith(done.reasoning + done.text)
        assert [d.tokens for d in seen] == sorted(d.tokens for d in seen)
        assert seen[-1].tokens <= done.tokens.completion

    async def test_a_watcher_stops_it_and_gets_what_there_is(self, engine: Engine) -> None:
        if not engine.info.capabilities.abort:
            pytest.skip("it does not abort")
        seen: list[Delta] = []

        def watch(delta: Delta) -> bool:
            seen.append(delta)
            return True

        done = await engine.generate(self.ask(), Sampling(max_tokens=64, temperature=0.0), watch=watch)
        self.check(engine, done)
        assert done.finish_reason == "aborted"
        assert len(seen) == 1
        assert (done.reasoning + done.text).startswith(seen[0].so_far)
        assert done.tokens.completion > 0

    async def test_stopped_before_it_began_it_is_empty(self, engine: Engine) -> None:
        stop = Stop()
        stop.request()
        done = await engine.generate(self.ask(), Sampling(max_tokens=64), stop=stop)
        assert (done.text, done.finish_reason, done.tokens.total) == ("", "aborted", 0)

    async def test_stopped_on_its_way_it_returns(self, engine: Engine) -> None:
        stop, seen = Stop(), list[Delta]()

        def watch(delta: Delta) -> None:
            seen.append(delta)
            stop.request()

        call = engine.generate(self.ask(), Sampling(max_tokens=64, temperature=0.0), watch=watch, stop=stop)
        done = await asyncio.wait_for(call, HANG_S)
        self.check(engine, done)
        assert (done.reasoning + done.text).startswith(seen[0].so_far), "what there was is lost"

    async def test_a_cancelled_call_leaves_the_engine_whole(self, engine: Engine) -> None:
        how = Sampling(max_tokens=64, seed=1)
        calls = [asyncio.create_task(engine.generate(self.ask(), how.seeded(n), stop=Stop())) for n in range(4)]
        await asyncio.sleep(0)
        for call in calls[:2]:
            call.cancel()
        ended = await asyncio.wait_for(asyncio.gather(*calls, return_exceptions=True), HANG_S)
        assert all(isinstance(e, asyncio.CancelledError | Completion) for e in ended[:2])
        assert all(isinstance(e, Completion) for e in ended[2:]), "a cancelled call took its siblings with it"
        assert (await self.sample(engine)).text

    async def test_many_at_once(self, engine: Engine) -> None:
        how = Sampling(max_tokens=8, temperature=1.0)
        calls = (engine.generate(self.ask(), how.seeded(n), stop=Stop() if n % 2 else None) for n in range(self.many))
        for done in await asyncio.wait_for(asyncio.gather(*calls), HANG_S):
            self.check(engine, done)
            assert done.finish_reason in ("stop", "length")

    async def test_a_prompt_that_does_not_fit_fails_alone(self, engine: Engine) -> None:
        context = engine.info.context_tokens
        if context is None:
            pytest.skip("its context is not known")
        long = Prompt.of("word " * (context + 8))
        with pytest.raises(GenerationFailed) as caught:
            await engine.generate(long, Sampling(max_tokens=8))
        assert not caught.value.retryable, "no second attempt would fit either"
        assert (await self.sample(engine)).text

    @pytest.mark.parametrize("text", ["", "\x00", "\ud800 lone", "<|im_end|>", "\u202e"])
    async def test_odd_text_is_answered_or_refused(self, engine: Engine, text: str) -> None:
        try:
            done = await engine.generate(Prompt((Message("user", text),)), Sampling(max_tokens=4))
        except BurnishError as e:
            assert e.code  # noqa: PT017
        else:
            assert done.finish_reason in ("stop", "length")
        assert (await self.sample(engine)).text
