"""A small synthetic shop to buy in: search, look at a product, choose its options, buy (after WebShop, arXiv 2207.01206)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, cast

from ..core.environment import Observation, Tool
from ..core.errors import ConfigError
from ..core.ids import Json, canonical_json
from ..core.task import Task
from ..core.text import one_line
from ..core.verdict import Verdict
from .actions import read_call
from .shop_products import Product, found, shop_of
from .shop_reward import Reward, shop_reward

BUY, NEXT, PREVIOUS, BACK = "buy now", "next", "previous", "back to search"


@dataclass(kw_only=True)
class Shop:
    """Actions are `search[words]` and `click[what stands on the page]`. The answer is what was bought, as JSON."""

    name: ClassVar[str] = "shop"
    version: ClassVar[str] = "1"
    oracle: ClassVar[bool] = True
    tools: ClassVar[Sequence[Tool]] = (
        Tool(usage="search[words]", about="shows products that have these words"),
        Tool(usage="click[...]", about=f"a product's id, a value of an option, or: {NEXT}, {PREVIOUS}, {BACK}, {BUY}"),
    )

    page_size: int = 5
    """Products on one page of results."""

    _shop: Sequence[Product] = field(default=(), init=False)
    _results: list[Product] = field(default_factory=list[Product], init=False)
    _page: int = field(default=0, init=False)
    _product: Product | None = field(default=None, init=False)
    _chosen: dict[str, str] = field(default_factory=dict[str, str], init=False)

    def __post_init__(self) -> None:
        if self.page_size < 1:
            raise ConfigError(f"shop: page_size is {self.page_size}", hint="at least 1")

    def check(self, task: Task) -> None:
        """Refuse a task without a shop."""
        self._open(task)

    async def reset(self, task: Task, seed: int) -> Observation:
        self._shop = self._open(task)
        self._results, self._page, self._product, self._chosen = [], 0, None, {}
        return Observation(text="The shop is open. Search for something.")

    async def step(self, action: str) -> Observation:
        match read_call(action):
            case ("search", words) if words:
                self._results, self._page, self._product = found(self._shop, words), 0, None
                return self._listed()
            case ("click", what):
                return self._clicked(" ".join(what.lower().split()))
            case _:
                return Observation(text="That is no action. Write search[words] or click[what stands on the page].", refused=True)

    async def reward(self, task: Task, answer: str) -> Verdict:
        """WebShop's; a pass is a full reward."""
        shop = {product.id: product for product in self._open(task)}
        goal = _goal(task, shop)
        if goal is None:
            return Verdict.abstain("no_reference", "the task does not say what is wanted")
        bought = purchase_of(answer, shop)
        if bought is None:
            return Verdict.failed("nothing of this shop was bought", reason="no_answer")
        worth = shop_reward(*bought, **goal)
        evidence: dict[str, Json] = {"reward": worth.total, "type": worth.type, "attributes": worth.attributes}
        evidence |= {"options": worth.options, "price": worth.price}
        if worth.total == 1:
            return Verdict.passed(evidence=evidence)
        return Verdict.failed(_missed(worth), score=worth.total, reason="mismatch", evidence=evidence)

    async def close(self) -> None:
        """Nothing is held."""

    def _open(self, task: Task) -> Sequence[Product]:
        shop = shop_of(task.context)
        if shop is None:
            hint = 'context: {"shop": {"seed": 1, "products": 60}}'
            raise ConfigError(f"shop: task {task.id} describes no shop", hint=hint)
        return shop

    def _clicked(self, what: str) -> Observation:
        if what == BACK:
            self._product = None
            return Observation(text="Search for something.")
        if self._product is None:
            return self._on_results(what)
        return self._on_product(self._product, what)

    def _on_results(self, what: str) -> Observation:
        shown = {product.id.lower(): product for product in self._on_page()}
        if what in shown:
            self._product, self._chosen = shown[what], {}
            return Observation(text=_page_of(shown[what], self._chosen))
        turned = self._page + {NEXT: 1, PREVIOUS: -1}.get(what, 0)
        if turned == self._page or not 0 <= turned * self.page_size < len(self._results):
            return _not_here(what)
        self._page = turned
        return self._listed()

    def _on_product(self, product: Product, what: str) -> Observation:
        if what == BUY:
            answer = canonical_json({"product": product.id, "options": self._chosen})
            return Observation(text=f"You have bought {product.id}.", done=True, answer=answer)
        if what == PREVIOUS:
            self._product = None
            return self._listed()
        for name, values in product.options.items():
            if what in values:
                self._chosen[name] = what
                return Observation(text=_page_of(product, self._chosen))
        return _not_here(what)

    def _on_page(self) -> list[Product]:
        begin = self._page * self.page_size
        return self._results[begin : begin + self.page_size]

    def _listed(self) -> Observation:
        if not self._results:
            return Observation(text="Nothing was found.")
        pages = -(-len(self._results) // self.page_size)
        lines = [f"Page {self._page + 1} of {pages}, {len(self._results)} products"]
        lines += [f"[{p.id}] {p.title}, {p.price:.2f} dollars" for p in self._on_page()]
        return Observation(text="\n".join(lines))


def _page_of(product: Product, chosen: Mapping[str, str]) -> str:
    lines = [f"[{product.id}] {product.title}, {product.price:.2f} dollars", product.description]
    for name, values in product.options.items():
        told = f" (chosen: {chosen[name]})" if name in chosen else ""
        lines.append(f"{name}: {', '.join(f'[{value}]' for value in values)}{told}")
    return "\n".join([*lines, f"[{BUY}] [{PREVIOUS}] [{BACK}]"])


def _not_here(what: str) -> Observation:
    return Observation(text=f"There is nothing to click called {one_line(what, 60)!r} on this page.", refused=True)


def purchase_of(answer: str, shop: Mapping[str, Product]) -> tuple[Product, Mapping[str, str]] | None:
    """The product and the chosen options that an episode's answer tells of; None if this shop cannot have sold them."""
    try:
        value = json.loads(answer)
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict):
        return None
    bought = cast("dict[str, Any]", value)
    product, options = shop.get(str(bought.get("product"))), bought.get("options")
    if product is None or not isinstance(options, dict):
        return None
    chosen = cast("dict[str, Any]", options)
    return (product, chosen) if all(value in product.options.get(name, ()) for name, value in chosen.items()) else None


def _goal(task: Task, shop: Mapping[str, Product]) -> dict[str, Any] | None:
    if not isinstance(task.reference, Mapping):
        return None
    goal = dict(task.reference)
    wanted = shop.get(str(goal.pop("product", "")))
    if wanted is None or goal.keys() != {"attributes", "options", "price_limit"}:
        return None
    return {"wanted": wanted, **goal}


def _missed(worth: Reward) -> str:
    """What is not as it was asked for, by number only: which product is wanted is not told."""
    parts = [] if worth.type == 1 else ["it is another kind of product"]
    for name, got, wanted in zip(("attributes", "options"), (worth.attributes, worth.options), worth.wanted, strict=True):
        if got < wanted:
            parts.append(f"{got} of {wanted} {name} are as asked for")
    if not worth.price:
        parts.append("the price is above the limit")
    return "; ".join(parts)
