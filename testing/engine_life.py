"""Checks of an engine's life: start, close, and what comes before and after."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ..core.engine import Engine
from ..core.errors import EngineUnavailable
from ..core.sampling import Sampling
from .engine_calls import Calls


class Life(Calls):
    """Start and close."""

    async def test_starting_and_closing_twice_do_nothing(self, make_engine: Callable[[], Engine]) -> None:
        made = make_engine()
        await made.close()
        await made.start()
        first = made.info
        await made.start()
        assert made.info == first
        assert (await self.sample(made)).text
        await made.close()
        await made.close()

    async def test_started_again_it_works_again(self, make_engine: Callable[[], Engine]) -> None:
        made = make_engine()
        for _ in range(2):
            await made.start()
            assert (await self.sample(made)).text
            await made.close()

    async def test_it_is_of_no_use_unless_started(self, make_engine: Callable[[], Engine]) -> None:
        made = make_engine()
        with pytest.raises(EngineUnavailable):
            await made.generate(self.ask(), Sampling(max_tokens=4))

    async def test_it_is_of_no_use_once_closed(self, make_engine: Callable[[], Engine]) -> None:
        made = make_engine()
        await made.start()
        await made.close()
        with pytest.raises(EngineUnavailable):
            await made.generate(self.ask(), Sampling(max_tokens=4))
