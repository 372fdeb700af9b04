"""`python -m burnish.bench`: all speed benchmarks, as a table and as JSON. Exit status 1 if a bar is missed."""

from __future__ import annotations

import argparse
import importlib.util
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from ..core.errors import BurnishError
from .report import Section, say, table, write

NAMES = ("startup", "memory", "overhead", "write_path", "makespan", "rag", "sandbox", "throughput")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmarks. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m burnish.bench", description="what burnish costs, against bars")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"some of {', '.join(NAMES)}; none for all")
    parser.add_argument("--out", type=Path, help="folder for bench.json")
    args = parser.parse_args(arguments)
    if unknown := set(args.names) - set(NAMES):
        parser.error(f"no benchmark is called {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}")
    sections = run(args.names or NAMES)
    print(table(sections))
    if args.out:
        write(args.out / "bench.json", sections)
        say(f"written: {args.out / 'bench.json'}")
    missed = [name.strip() for section in sections for name in section.missed]
    failed = [section.name for section in sections if section.skipped.startswith("failed")]
    if missed or failed:
        say(f"missed: {'; '.join((*missed, *failed))}")
    return 1 if missed or failed else 0


def run(names: Sequence[str]) -> list[Section]:
    """The named benchmarks; one that fails does not keep the others from running."""
    with tempfile.TemporaryDirectory(prefix="burnish-bench-") as folder:
        store = Path(folder) / "runs.db"
        parts = {
            "memory": lambda: _memory(store),
            "startup": lambda: _startup(store),
            "overhead": _overhead,
            "write_path": _write_path,
            "makespan": _makespan,
            "rag": _rag,
            "sandbox": _sandbox,
            "throughput": _throughput,
        }
        # Startup lists the runs that memory leaves, so memory goes first.
        return [_guarded(name, part) for name, part in parts.items() if name in names]


def _guarded(name: str, part: Callable[[], Section]) -> Section:
    try:
        return part()
    except BurnishError as e:
        return Section(name=name, skipped=f"failed: {e}")


def _memory(store: Path) -> Section:
    from . import memory

    return memory.run(store)


def _startup(store: Path) -> Section:
    from . import memory, startup

    if not store.exists():
        memory.run(store)
    return startup.run(store)


def _sandbox() -> Section:
    from . import sandbox

    return sandbox.run()


def _overhead() -> Section:
    if importlib.util.find_spec("langgraph.checkpoint.sqlite") is None:
        return Section(name="overhead", skipped="no langgraph-checkpoint-sqlite: pip install 'burnish[dev]'")
    from . import overhead

    return overhead.run()


def _write_path() -> Section:
    from . import write_path

    return write_path.run()


def _makespan() -> Section:
    from . import makespan

    return makespan.run()


def _rag() -> Section:
    from . import rag

    return rag.run()


def _throughput() -> Section:
    if importlib.util.find_spec("vllm") is None:
        return Section(name="throughput", skipped="no vLLM: burnish engine install")
    from . import throughput

    return throughput.run()


if __name__ == "__main__":
    sys.exit(main())
