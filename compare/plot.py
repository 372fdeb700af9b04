"""Accuracy against what it cost, as a picture: one panel for generated tokens, one for seconds."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..core.errors import ConfigError
from .summary import ArmSummary

FORMATS = (".png", ".svg")


def check_format(path: Path) -> None:
    """Say before anything is run that a picture could not be written.

    Raises:
        ConfigError: another ending than .png and .svg, no such folder, or no plotting library.
    """
    if path.suffix.lower() not in FORMATS:
        raise ConfigError(f"a picture cannot be written as {path.name}", hint=f"a file that ends in {' or '.join(FORMATS)}")
    if not path.parent.is_dir():
        raise ConfigError(f"there is no folder {path.parent}", hint="make it first")
    _library()


def plot(arms: Sequence[ArmSummary], path: Path, *, title: str = "") -> None:
    """Draw all arms, each a point with its 95 % interval; arms that differ in numbers only are joined. A replay, which says
    nothing of time, has no panel for it.

    Raises:
        ConfigError: as `check_format`, or there is no arm.
    """
    check_format(path)
    if not arms:
        raise ConfigError("there is nothing to draw", hint="let the comparison finish first")
    shown = [(name, label) for name, label in _PANELS if any(getattr(a.cost, name) for a in arms)] or [*_PANELS[:1]]
    figure: Any = _library()(figsize=(5.5 * len(shown), 4.5), layout="constrained")
    panels = figure.subplots(1, len(shown), sharey=True, squeeze=False)[0]
    for panel, (name, label) in zip(panels, shown, strict=True):
        for family, members in _families(arms).items():
            ordered = sorted(members, key=lambda a: getattr(a.cost, name))
            costs, values = [getattr(a.cost, name) for a in ordered], [a.accuracy.value for a in ordered]
            below = [a.accuracy.value - a.accuracy.low for a in ordered]
            above = [a.accuracy.high - a.accuracy.value for a in ordered]
            panel.errorbar(costs, values, yerr=[below, above], marker="o", capsize=3, label=family)
            for arm, cost in zip(ordered, costs, strict=True):
                panel.annotate(arm.name, (cost, arm.accuracy.value), xytext=(5, 5), textcoords="offset points", fontsize=7)
        panel.margins(x=0.2)  # room for the names
        panel.set_xlabel(label)
        panel.set_ylim(0, 1)
        panel.grid(alpha=0.3)
        if all(getattr(a.cost, name) > 0 for a in arms):
            panel.set_xscale("log")
        for axis in (panel.xaxis.set_major_formatter, panel.xaxis.set_minor_formatter):
            axis("{x:,.4g}")
        panel.tick_params(axis="x", which="both", labelsize=7, labelrotation=45)
    panels[0].set_ylabel("accuracy, 95 % interval")
    panels[0].legend(fontsize=8)
    figure.suptitle(title, fontsize=10)
    figure.savefig(path, dpi=150)


_PANELS = (("output_tokens", "generated tokens a run"), ("seconds", "seconds a run"))


def _families(arms: Sequence[ArmSummary]) -> dict[str, list[ArmSummary]]:
    """Arms that differ in a number only: `majority:n=4` and `majority:n=8`."""
    families: dict[str, list[ArmSummary]] = {}
    for arm in arms:
        families.setdefault("".join(c for c in arm.name if not c.isdigit()), []).append(arm)
    return {_stem([m.name for m in members]): members for members in families.values()}


def _stem(names: Sequence[str]) -> str:
    """What names that differ in numbers only begin with: `majority`."""
    return names[0] if len(names) == 1 else re.split(r"[\d:]", names[0])[0].strip("-_= ") or names[0]


def _library() -> Any:
    """Matplotlib's figure, which needs no display and no global state."""
    try:
        from matplotlib.figure import Figure  # pyright: ignore[reportMissingImports, reportUnknownVariableType]
    except ImportError:
        raise ConfigError("matplotlib is not installed", hint="pip install 'burnish[compare]'") from None
    return Figure  # pyright: ignore[reportUnknownVariableType]
