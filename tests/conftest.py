"""Fixtures for all tests."""

import signal
from pathlib import Path

import pytest
from hypothesis import settings

from tests.vllm_fixtures import vllm_engine

__all__ = ["vllm_engine"]

settings.register_profile("untimed", deadline=None)  # How long an example takes says something of the machine only.
settings.load_profile("untimed")


class _Root:
    """The checkout is a package, whatever its folder is called: pytest must not import it as one of tests."""

    @staticmethod
    def pytest_collect_directory(path: Path, parent: pytest.Collector) -> pytest.Collector | None:
        return pytest.Dir.from_parent(parent, path=path) if path == Path(__file__).parent.parent else None


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(_Root())


if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell starts what runs in the background so, and every process that a test starts and interrupts would inherit it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
