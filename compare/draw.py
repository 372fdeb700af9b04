"""Drawing a pool: k samples of each task, once. What the store has is not drawn again."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from ..core.engine import engine_difference
from ..core.errors import ConfigError, StoreError
from ..core.ids import Json, canonical_json, json_hash
from ..core.redact import redact
from ..core.result import Result
from ..core.task import Task
from ..core.text import one_line
from ..graphs.registry import BUILTIN, check_settings
from .carry import begun_batches
from .pool import ABOUT, PREFIX, pool_batches

if TYPE_CHECKING:
    from ..session import Session
    from ..traces.reader import Reader
    from ..traces.views import BatchRow


@dataclass(frozen=True, kw_only=True)
class Order:
    """What is to be drawn."""

    name: str
    tasks: Sequence[Task]
    k: int
    """Samples of each task."""
    seed: int = 0
    settings: Mapping[str, Json] = field(default_factory=dict[str, Json])
    """Settings of the graph `draw`, without `n`."""

    def __post_init__(self) -> None:
        if not self.name.strip() or len(self.name) > 100:
            raise ConfigError(f"{one_line(self.name, 40)!r} is no name for a pool", hint="1 to 100 characters")
        if not self.tasks:
            raise ConfigError("there are no tasks to draw for", hint="--tasks FILE.jsonl, or --benchmark NAME")
        if "n" in self.settings:
            raise ConfigError("the number of samples is no setting of a pool", hint="give it as -k N")
        self.resolved()

    def resolved(self) -> dict[str, Json]:
        """All settings of the graph, those at their defaults too.

        Raises:
            ConfigError: naming the setting that does not exist or is out of range.
        """
        return check_settings(BUILTIN["draw"], {**self.settings, "n": self.k}).model_dump(mode="json")

    def to_json(self) -> dict[str, Json]:
        """What is stored with the batch."""
        return {
            "name": self.name,
            "tasks": [t.id for t in self.tasks],
            "digest": json_hash([t.to_json() for t in self.tasks]),
        }


def begun(reader: Reader, order: Order, recipe: Json) -> BatchRow | None:
    """The pool of this name if it was begun before; None if not.

    Raises:
        ConfigError: it has other tasks, another number of samples, other settings, or another engine or model.
    """
    batch = next((b for b in pool_batches(reader) if b.name == PREFIX + order.name), None)
    if batch is None:
        return None
    about = cast("Mapping[str, Any]", batch.config[ABOUT])
    settings = cast("Mapping[str, Any]", batch.config["settings"])
    spec = reader.spec(reader.runs(batch=batch.id, limit=1)[0].id)
    before = cast("Mapping[str, Any]", spec.engines.get("default", {})).get("recipe")
    wanted = order.resolved()
    checks = (
        (about.get("digest") == order.to_json()["digest"], "other tasks"),
        (settings.get("n") == order.k, f"k={settings.get('n')}, not {order.k}"),
        (canonical_json(settings) == canonical_json(wanted), f"other settings: {_differing(settings, wanted)}"),
        (batch.config.get("seed") == order.seed, f"the seed {batch.config.get('seed')}, not {order.seed}"),
        (canonical_json(before) == canonical_json(redact(recipe)), f"another engine: {_maker(before)}, not {_maker(recipe)}"),
    )
    for same, words in checks:
        if not same:
            raise ConfigError(f"there is a pool {one_line(order.name)!r} with {words}", hint="draw this one under another name")
    return batch


async def draw(session: Session, order: Order, before: BatchRow | None, on_start: Callable[[str], None]) -> AsyncIterator[Result]:
    """Draw what is not drawn yet; gives the result of each task as it comes.

    The session grades all candidates (`grade_all`), so that the pool knows which samples are right.

    Raises:
        ConfigError: the engine is not the one that the pool was begun with.
        EngineUnavailable: it gives no log-probabilities although they are asked for.
        StoreError: another process has begun a pool of this name meanwhile.
    """
    name, reader = PREFIX + order.name, session.store.reader()
    if before is None:
        results = session.batch(
            "draw",
            order.tasks,
            settings=order.resolved(),
            seed=order.seed,
            name=name,
            about={ABOUT: order.to_json()},
            known=_known(reader, name),
            on_start=on_start,
        )
    else:
        left = reader.unfinished(before.id)
        if left:
            stored = reader.spec(left[0]).engines.get("default")
            if differ := engine_difference(stored, session.engines["default"].info.to_json()):
                raise ConfigError(f"another engine began the pool {one_line(order.name)!r}: {differ}", hint="use that one")
        on_start(before.id)
        results = session.resume_all(left)
    async for result in results:
        yield result


def _known(reader: Reader, name: str) -> int:
    """Batches of this name that are no whole pools, and so in nobody's way.

    Raises:
        StoreError: one is a whole pool.
    """
    known = begun_batches(reader, name)
    if any(b.name == name for b in pool_batches(reader)):
        what = f"another process has begun the pool {one_line(name.removeprefix(PREFIX))!r} meanwhile"
        raise StoreError(what, hint="the same command again goes on with it", code="name_taken", retryable=True)
    return known


def _differing(before: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
    return ", ".join(f"{k}={one_line(str(v), 40)}" for k, v in before.items() if wanted.get(k) != v)


def _maker(recipe: Json) -> str:
    if not isinstance(recipe, Mapping):
        return "an engine given in code"
    model, args = recipe.get("model"), recipe.get("args")
    return one_line(" ".join(str(p) for p in (recipe.get("engine"), model, canonical_json(args) if args else "") if p), 120)
