"""What every engine must do, as a class of tests to be inherited.

The checks follow from what an engine says of itself: a capability that it claims is tried, and asking for one that it does
not claim must be refused with a typed error before anything is generated. What does not hold for an engine for a good
reason is named in `exempt` and shows up as skipped, so that nobody overlooks it.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping
from typing import ClassVar

import pytest
import pytest_asyncio

from ..core.engine import Engine
from .engine_abilities import Abilities
from .engine_life import Life


class EngineConformance(Abilities, Life):
    """Inherit from it in a class called `Test...`, and give it a fixture `make_engine`.

    With `asyncio_mode = "auto"` nothing else is needed; otherwise mark the class with `pytest.mark.asyncio`. An engine that is
    slow to start may be shared: override the fixture `engine` with one of a wider scope.
    """

    exempt: ClassVar[Mapping[str, str]] = {}
    """Names of tests that the engine is out of, and why."""

    @pytest.fixture
    def make_engine(self) -> Callable[[], Engine]:
        """Makes a fresh engine, not started; the tests of its life are skipped where there is none."""
        pytest.skip("no fixture make_engine")

    @pytest_asyncio.fixture
    async def engine(self, make_engine: Callable[[], Engine]) -> AsyncGenerator[Engine]:
        """A started engine."""
        made = make_engine()
        await made.start()
        yield made
        await made.close()

    @pytest.fixture(autouse=True)
    def _skip_exempt(self, request: pytest.FixtureRequest) -> None:
        name: str = getattr(request.node, "originalname", request.node.name)
        if name in self.exempt:
            pytest.skip(self.exempt[name])

    async def test_exemptions_exist(self) -> None:
        """Nothing is exempt that is not tested: a name with a slip in it would hide nothing and say nothing."""
        assert set(self.exempt) <= {name for name in dir(self) if name.startswith("test_")}
