"""The command line that benchmarks with a model share: which model and tasks, where runs are kept, where results go."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from ..core.errors import BurnishError
from ..core.ids import Json
from .report import say, write_found

T = TypeVar("T")


def model_parser(
    name: str, about: str, *, limit: int, counted: str = "tasks", max_model_len: int = 2048
) -> argparse.ArgumentParser:
    """A parser of `--model`, `--data`, `--limit`, `--max-model-len`, `--store` and `--out`, to which a benchmark adds its own.

    `limit` is how many are taken unless told otherwise, `counted` what they are.
    """
    parser = argparse.ArgumentParser(prog=f"python -m burnish.bench.{name}", description=about)
    parser.add_argument("--model", help="a model by name (burnish models list); the default model if left out")
    parser.add_argument("--data", type=Path, help="folder of the data; else BURNISH_DATA")
    parser.add_argument("--limit", type=int, default=limit, help=counted)
    parser.add_argument("--max-model-len", type=int, default=max_model_len, help="longest prompt and answer together, in tokens")
    parser.add_argument("--store", type=Path, default=Path(f"{name}.db"), help="SQLite file that keeps what is generated")
    parser.add_argument("--out", type=Path, help=f"folder for the results, {name}-....json")
    return parser


def model_label(model: str | None) -> str:
    """A model's name as a part of a file's name."""
    return (model or "default").replace("/", "-")


def carry_out(args: argparse.Namespace, file: str, measure: Callable[[], Mapping[str, Json]]) -> int:
    """Measure, and write what was found to `FILE.json` where results are wanted. Returns the exit status."""

    def finish(found: Mapping[str, Json]) -> None:
        if args.out:
            write_found(args.out / f"{file}.json", args.model, found)

    return told(measure, finish)


def told(measure: Callable[[], T], finish: Callable[[T], None]) -> int:
    """Measure, and finish with what was found; say what kept it from being measured. Returns the exit status."""
    try:
        found = measure()
    except BurnishError as e:
        say(f"error: {e}")
        return e.exit_code
    except KeyboardInterrupt:
        say("stopped; the same command goes on from here")
        return 130
    finish(found)
    return 0
