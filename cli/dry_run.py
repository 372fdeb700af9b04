"""`burnish run --dry-run`: what would be run, what bounds its cost, and what is wrong with it; nothing is run or stored."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, cast

from ..core.budget import Budget
from ..core.engine import require
from ..core.ids import Json, as_json, canonical_json
from ..core.sampling import Sampling
from ..core.text import one_line
from .output import count, emit, show

if TYPE_CHECKING:
    from ..graphs.bounds import Bounds
    from ..graphs.settings import SamplingSettings
    from .run import Order

_KNOWN_BEFORE = ("scripted", "vllm")
"""Engines that say what they can do before they start."""


@dataclass(frozen=True)
class Plan:
    """What a dry run finds out."""

    order: Order
    settings: dict[str, Json]
    """Those given, and of a built-in graph all others at their defaults."""
    verifiers: Counter[str]
    """How many tasks are judged by what."""
    each: list[Bounds]
    """By task."""

    def total(self) -> dict[str, float | None]:
        """Bounds of all runs together; None where one of them has none."""
        listed = [asdict(one) for one in self.each]
        sums: dict[str, float | None] = {}
        for name in listed[0]:
            values = [one[name] for one in listed]
            sums[name] = None if None in values else sum(values)
        return sums


def dry_run(order: Order, *, as_json: bool) -> int:
    """Check the order as far as that costs nothing, and show what it would do. Returns the exit status.

    Raises:
        BurnishError: what the run itself would raise before its first call.
    """
    plan = _plan(order)
    if as_json:
        emit(_json(plan))
    else:
        _print(plan)
    return 0


def _plan(order: Order) -> Plan:
    from ..graphs.bounds import bounds, verifier_of
    from ..graphs.registry import BUILTIN, check_settings
    from ..graphs.settings import DrawSettings, SearchSettings
    from ..traces.connect import store_url
    from ..verifiers.registry import make_verifier

    store_url(order.store)
    checked: SamplingSettings | None = None
    if order.graph in BUILTIN:
        checked = check_settings(BUILTIN[order.graph], order.settings)
    judges = [verifier_of(checked, task) for task in order.tasks]
    for judge in judges:
        if judge is not None:
            make_verifier(judge)
    _check_engine(order)
    return Plan(
        order=order,
        settings=cast("dict[str, Json]", as_json(checked.model_dump())) if checked else order.settings,
        verifiers=Counter(_named(judge, own=not isinstance(checked, SearchSettings | DrawSettings)) for judge in judges),
        each=[bounds(checked, task, order.budget) for task in order.tasks],
    )


def _check_engine(order: Order) -> None:
    """What tasks need of the engine, where it is known before the engine starts."""
    role = "proposer" if "proposer" in order.made.engines else "default"
    if cast("dict[str, Any]", order.made.recipes[role])["engine"] not in _KNOWN_BEFORE:
        return
    for task in order.tasks:
        needs = Sampling(logprobs=0 if order.settings.get("logprobs") else None).but(**task.sampling).needs
        require(order.made.engines[role], needs, why=f"the task {task.id}")


def _named(judge: object, *, own: bool) -> str:
    if own:
        return "as the graph decides"
    if judge is None:
        return "none"
    return one_line(judge if isinstance(judge, str) else canonical_json(cast("Json", judge)), 100)


def _json(plan: Plan) -> dict[str, Any]:
    order = plan.order
    return {
        "graph": order.graph,
        "settings": plan.settings,
        "engine": order.made.recipe,
        "roles": {role: recipe for role, recipe in order.made.recipes.items() if role != "default"},
        "verifiers": dict(plan.verifiers),
        "tasks": len(order.tasks),
        "seed": order.seed,
        "concurrency": order.concurrency,
        "budget": order.budget.to_json(),
        "bounds": {"run": _most(plan.each), "all": plan.total()},
    }


def _most(each: Sequence[Bounds]) -> dict[str, float | None]:
    """Bounds of the run that may use most."""
    listed = [asdict(one) for one in each]
    return {name: None if any(o[name] is None for o in listed) else max(o[name] for o in listed) for name in listed[0]}


def _print(plan: Plan) -> None:
    order = plan.order
    show(f"graph: {one_line(order.graph, 200)}, seed {order.seed}")
    show(f"settings: {one_line(canonical_json(plan.settings), 1000)}")
    for role, recipe in order.made.recipes.items():
        made = cast("dict[str, Any]", recipe)
        what = "engine" if role == "default" else f"engine of the role {one_line(role, 40)}"
        model = f", model {one_line(str(made['model']), 200)}" if made["model"] else ""
        show(f"{what}: {one_line(str(made['engine']), 200)}{model}")
    show(f"tasks: {len(order.tasks):,}, at most {order.concurrency} at once")
    show("verifier: " + ", ".join(f"{name} ({count(n, 'task')})" for name, n in plan.verifiers.most_common(5)))
    show("budget of each run: " + (_limits(order.budget) or "none"))
    for name, found in (("each run", _most(plan.each)), ("all runs", plan.total())):
        show(f"{name}, at most: {_bounds(found)}")
    show("These are bounds from settings and budget, not forecasts. Nothing was run or stored.")


def _limits(budget: Budget) -> str:
    return ", ".join(f"{name}={value}" for name, value in budget.to_json().items())


def _bounds(found: dict[str, float | None]) -> str:
    words = {"calls": "calls", "output_tokens": "generated tokens", "tokens": "tokens in all"}
    told = [f"{int(value):,} {words[name]}" for name, value in found.items() if value is not None and name in words]
    money = found.get("usd")
    told += [f"${money:g}"] if money is not None else []
    return ", ".join(told) or "no bound; --budget calls=N,tokens=N sets one"
