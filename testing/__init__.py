"""For those who extend burnish: suites that their parts must pass. They need pytest and pytest-asyncio.

from burnish.testing import EngineConformance


    class TestMyEngine(EngineConformance):
        @pytest.fixture
        def make_engine(self):
            return lambda: MyEngine(...)
"""

from .engines import EngineConformance

__all__ = ["EngineConformance"]
