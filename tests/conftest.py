"""Fixtures for all tests."""

import signal
from collections import Counter
from functools import lru_cache
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


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object:
    """Side by side, a file stays with one process, for its fixtures, and what needs vLLM with one, for the one engine."""
    if config.getoption("dist") != "loadfile":
        return None
    from xdist.scheduler import LoadFileScheduling

    class OneEngine(LoadFileScheduling):
        @lru_cache  # noqa: B019 - there is one scheduler
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.split("::")[0]
            return "vllm" if "mark.vllm" in (config.rootpath / file).read_text(encoding="utf-8") else file

    return OneEngine(config, log)


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(_Root())


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """How many processes the fault tests have killed."""
    sums: Counter[str] = Counter()
    for report in terminalreporter.getreports(""):  # Those of fixtures that were torn down.
        for name, value in report.user_properties:
            sums[name] += value if name.startswith("kills") and report.when == "teardown" else 0
    if sums.total():
        terminalreporter.write_sep("=", ", ".join(f"{number} {name}" for name, number in sums.items()))


if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell starts what runs in the background so, and every process that a test starts and interrupts would inherit it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
