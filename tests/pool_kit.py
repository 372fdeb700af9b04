"""What the tests of pools share: pools drawn from scripted engines."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from burnish import ScriptedEngine, Session, Task
from burnish.compare.draw import Order, begun, draw
from burnish.compare.pool import Pool

RECIPE = {"engine": "scripted", "model": None, "args": {}}


def tasks(count: int = 3, **fields: Any) -> list[Task]:
    """Tasks whose right answer is 1, with a grader, and with a verifier that is not always right."""
    given = {"verifier": {"name": "regex", "pattern": "[13]$"}, "grader": "numeric", "extract": "last_number", **fields}
    return [Task(id=f"t{i}", prompt=f"What is it, {i}?", reference=1, **given) for i in range(count)]


def reply(call: Any) -> str:
    """A text of its own for each seed that ends with 0 to 3, mostly with 1."""
    return f"{call.seed}: {(0, 1, 1, 2, 3)[call.seed % 5]}"


def url(path: Path) -> str:
    return f"sqlite:///{path}/runs.db"


def session(path: Path, replies: Any = reply, **options: Any) -> Session:
    """A session as pools are drawn with."""
    engine = options.pop("engine", None) or ScriptedEngine(replies, **options)
    return Session(engine, store=url(path), recipes={"default": RECIPE}, grade_all=True)


async def draw_pool(
    path: Path, of: Sequence[Task], k: int = 4, *, name: str = "p", seed: int = 0, settings: Any = None, **options: Any
) -> list[Any]:
    """Draw a pool, or go on with it; the results."""
    async with session(path, **options) as s:
        order = Order(name=name, tasks=of, k=k, seed=seed, settings=settings or {})
        before = begun(s.store.reader(), order, RECIPE)
        return [r async for r in draw(s, order, before, lambda batch_id: None)]


async def drawn_pool(path: Path, of: Sequence[Task], k: int = 4, **options: Any) -> Pool:
    """A pool, drawn and read."""
    from burnish.traces.store import Store

    await draw_pool(path, of, k, **options)
    reader = Store.open_reader(url(path))
    try:
        return Pool.read(reader, options.get("name", "p"))
    finally:
        reader.close()
