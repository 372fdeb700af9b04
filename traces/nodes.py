"""Where a run's time and tokens went: sums over each graph node.

Steps of one node are told apart by the path of nodes that they run within, so that a node of a subgraph is another one
than its namesake outside.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import BigInteger, case, func, select
from sqlalchemy import cast as as_type

from . import schema as s

if TYPE_CHECKING:
    from .reader import Reader


@dataclass(frozen=True, kw_only=True)
class NodeUse:
    """What the executions of one graph node took."""

    path: tuple[str, ...]
    """Names of the nodes that it runs within, and its own last; empty for what ran outside of any node."""
    steps: int
    """How often it was executed."""
    running: int
    """Of those, the ones that have not ended."""
    failed: int
    calls: int
    """Model calls sent within it, those of nodes within it not included."""
    failed_calls: int
    effects: int
    """Recorded effects that are no model calls."""
    prompt_tokens: int
    output_tokens: int
    call_seconds: float
    """Sum over its calls, which may have run side by side."""
    seconds: float
    """Sum over its ended executions, with what ran within them."""
    micro_usd: int

    @property
    def name(self) -> str:
        """The node's own name."""
        return self.path[-1] if self.path else ""


def node_uses(reader: Reader, run: str, calls: Mapping[str, Mapping[str, int]]) -> list[NodeUse]:
    """What each node took, in the order in which they first began. `calls` is what `calls_by_step` gives."""
    steps = _steps(reader, run)
    names = {row["position"]: row["node"] for row in steps}
    parents = {row["position"]: row["parent"] for row in steps}
    found: dict[tuple[str, ...], Counter[str]] = {}
    for row in steps:
        use = found.setdefault(_path(row["position"], names, parents), Counter())
        use.update(steps=1, running=row["status"] == "running", failed=row["status"] == "failed", ns=row["ns"] or 0)
    for position, sums in calls.items():
        path = _path(position, names, parents) if position in names else ()
        found.setdefault(path, Counter()).update(sums)
    return [
        NodeUse(
            path=path,
            call_seconds=use["call_us"] / 1e6,
            seconds=use["ns"] / 1e9,
            **{name: use[name] for name in _COUNTED},
        )
        for path, use in found.items()
    ]


def calls_by_step(reader: Reader, run: str) -> dict[str, dict[str, int]]:
    """Sums over the calls that belong to each step itself, by its position; empty for those outside of any."""
    c = s.call.c
    model, sent = c.engine != "", c.state.in_(("ok", "error", "cancelled"))

    def number(condition: Any) -> Any:
        return as_type(func.sum(case((condition, 1), else_=0)), BigInteger)

    def total(value: Any) -> Any:
        return as_type(func.coalesce(func.sum(value), 0), BigInteger)

    query = (
        select(
            c.step,
            number(model & sent).label("calls"),
            number(model & (c.state == "error")).label("failed_calls"),
            number(~model).label("effects"),
            total(c.prompt_tokens).label("prompt_tokens"),
            total(c.completion_tokens).label("output_tokens"),
            total(c.seconds * 1_000_000).label("call_us"),
            total(c.cost_micro_usd).label("micro_usd"),
        )
        .where(c.run_id == run)
        .group_by(c.step)
    )
    return {row.pop("step"): row for row in reader.rows(query)}


_COUNTED = ("steps", "running", "failed", "calls", "failed_calls", "effects", "prompt_tokens", "output_tokens", "micro_usd")


def _steps(reader: Reader, run: str) -> list[dict[str, Any]]:
    c = s.step.c
    columns = (c.position, c.node, c.parent, c.status, (c.ended_ns - c.started_ns).label("ns"))
    return reader.rows(select(*columns).where(c.run_id == run).order_by(c.seq))


def _path(position: str, names: Mapping[str, str], parents: Mapping[str, str]) -> tuple[str, ...]:
    """Names of the nodes from the outermost to the one at a position."""
    found: list[str] = []
    at = position
    while at in names and len(found) < 50:
        found.append(names[at])
        # Where a node invokes a subgraph repeatedly, its steps' parent is the node's position with the number of the time.
        at = parents[at] if parents[at] in names else parents[at].rpartition("/#")[0]
    return tuple(reversed(found))
