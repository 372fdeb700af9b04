"""The same best of n by burnish and by its peers: time a candidate, start-up, memory, and the lines that a user writes.

Model and scorer are fakes that cost nothing, the same on every side, so what is measured is the library. burnish keeps every call
and verdict in SQLite meanwhile, LangGraph's saver keeps its states; the others keep nothing. Each side runs in a process of its
own, the sides in turn, round by round; what is compared are the rounds' ratios.
"""

from __future__ import annotations

import argparse
import ast
import io
import json
import subprocess
import sys
import tokenize
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..core.errors import BurnishError
from .peer_environment import environment
from .report import Measure, Section, say, table, write

JOBS = Path(__file__).parent / "peer_jobs"
SIDES: Mapping[str, str] = {
    "burnish": "",
    "its_hub": "its_hub",
    "dspy": "dspy",
    "langgraph": "",
    "langgraph_saver": "",
}
"""By name the environment that each side runs in; empty for burnish's own."""
WIDTHS = (64, 256)
ROUNDS = 3
REPETITIONS = 5


@dataclass(frozen=True, kw_only=True)
class Found:
    """What one process of one side measured."""

    us: float
    """Microseconds a candidate, the median of its repetitions."""
    first_s: float
    """Seconds from the process's first line to the first result, imports included."""
    peak_mb: float


def lines_of(source: str) -> int:
    """Lines of Python without blank ones, comments and docstrings."""
    tree = ast.parse(source)
    skipped: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and ast.get_docstring(node):
            first = node.body[0]
            skipped |= set(range(first.lineno, (first.end_lineno or first.lineno) + 1))
    nothing = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    used = {n for t in tokens if t.type not in nothing for n in range(t.start[0], t.end[0] + 1)}
    return len(used - skipped)


def measured(python: Path | str, side: str, width: int, repetitions: int = REPETITIONS) -> Found:
    """Run one side once.

    Raises:
        BurnishError: the process failed.
    """
    command = [str(python), str(JOBS / "child.py"), f"with_{side}", str(width), str(width), str(repetitions)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BurnishError(f"the side {side} failed: {done.stderr.strip()[-400:]}", code="bench")
    found = json.loads(done.stdout.splitlines()[-1])
    seconds = sorted(found["seconds"])
    return Found(us=seconds[len(seconds) // 2] / width * 1e6, first_s=found["first_result_s"], peak_mb=found["peak_mb"])


def run(folder: Path, *, sides: Sequence[str] = tuple(SIDES), rounds: int = ROUNDS, widths: Sequence[int] = WIDTHS) -> Section:
    """Measure all sides in turn.

    Raises:
        BurnishError: an environment cannot be made, or a side failed.
    """
    pythons = {side: environment(SIDES[side], folder / SIDES[side]) if SIDES[side] else sys.executable for side in sides}
    found: dict[tuple[str, int], list[Found]] = {}
    for number in range(rounds):
        say(f"peers: round {number + 1} of {rounds}")
        turned = [*sides[number % len(sides) :], *sides[: number % len(sides)]]
        for width in widths:
            for side in turned:
                found.setdefault((side, width), []).append(measured(pythons[side], side, width))
    measures: list[Measure] = []
    for width in widths:
        own = found["burnish", width]
        for side in sides:
            values = found[side, width]
            measures.append(Measure(name=f"{side}, {width} wide", values=[f.us for f in values], unit="us"))
            if side != "burnish":
                ratios = [a.us / b.us for a, b in zip(own, values, strict=True)]
                measures.append(Measure(name=f"  burnish over {side}, {width} wide", values=ratios))
    last = widths[-1]
    for side in sides:
        measures.append(Measure(name=f"{side}: first result", values=[f.first_s for f in found[side, last]], unit="s"))
        measures.append(Measure(name=f"{side}: peak memory", values=[f.peak_mb for f in found[side, last]], unit="MB"))
        source = (JOBS / f"with_{side}.py").read_text(encoding="utf-8")
        measures.append(Measure(name=f"{side}: lines a user writes", values=[float(lines_of(source))]))
    return Section(name="peers", measures=measures, details={"rounds": rounds, "repetitions": REPETITIONS})


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the table, write the results. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m burnish.bench.peers", description="best of n by burnish and its peers")
    parser.add_argument("--environment", type=Path, help="folder for the peers' environments", default=_cache())
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--out", type=Path, help="folder for peers.json")
    args = parser.parse_args(arguments)
    try:
        section = run(args.environment, rounds=args.rounds)
    except BurnishError as e:
        say(f"error: {e}")
        return e.exit_code
    print(table([section]))
    if args.out:
        write(args.out / "peers.json", [section])
    return 0


def _cache() -> Path:
    from ..engine.models import home

    return home() / "peers"


if __name__ == "__main__":
    sys.exit(main())
