"""A fork's first rows: the part of another run's record that it begins with, under what is changed."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

from .core.engine import Engine
from .core.ids import canonical_json
from .core.runs import RunSpec

if TYPE_CHECKING:
    from .traces.fork import Point
    from .traces.store import Store


async def store_fork(store: Store, old: RunSpec, new: RunSpec, point: Point, engines: Mapping[str, Engine]) -> None:
    """Store a run that begins with the record of `old` up to a point; all of it or nothing."""
    from .traces.fork import inherit

    models = {role: engine.info.model for role, engine in engines.items()}
    unsaid = _replaced_verifier(old, new)
    await store.create_fork(new, await asyncio.to_thread(inherit, store.reader(), old.id, point, new.id, models, unsaid))


def _replaced_verifier(old: RunSpec, new: RunSpec) -> Collection[str] | None:
    """The name of the verifier that another one stands for now; empty if there was none, None if it is the same."""
    from .verifiers.registry import make_verifier

    before, after = (spec.settings.get("verifier", "task") for spec in (old, new))
    before, after = old.task.verifier if before == "task" else before, new.task.verifier if after == "task" else after
    if canonical_json(before) == canonical_json(after):
        return None
    return () if before is None else (make_verifier(before).name,)
