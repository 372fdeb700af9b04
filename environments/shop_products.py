"""The synthetic shop's products, shopping tasks and search: made from a seed, the same everywhere."""

from __future__ import annotations

import functools
import random
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from ..core.ids import Json
from ..core.task import Task

_KINDS = (
    # noun phrase, its nouns, category path, what one searches for, options
    ("hiking backpack", ("backpack",), "Outdoors > Hiking > Bags", "backpacks", ("color", "capacity")),
    ("day bag", ("bag",), "Outdoors > Hiking > Bags", "backpacks", ("color",)),
    ("trail running shoes", ("trail", "shoes"), "Clothing > Shoes > Running", "running shoes", ("color", "size")),
    ("leather walking shoes", ("leather", "shoes"), "Clothing > Shoes > Walking", "walking shoes", ("color", "size")),
    ("rain jacket", ("rain", "jacket"), "Clothing > Jackets > Rain", "jackets", ("color", "size")),
    ("winter coat", ("winter", "coat"), "Clothing > Jackets > Winter", "jackets", ("color", "size")),
    ("desk lamp", ("desk", "lamp"), "Home > Lighting > Desk", "lamps", ("color",)),
    ("floor lamp", ("floor", "lamp"), "Home > Lighting > Floor", "lamps", ("color",)),
    ("coffee mug", ("coffee", "mug"), "Home > Kitchen > Cups", "cups and mugs", ("color", "capacity")),
    ("water bottle", ("water", "bottle"), "Outdoors > Kitchen > Bottles", "bottles", ("color", "capacity")),
    ("office chair", ("office", "chair"), "Home > Furniture > Chairs", "chairs", ("color",)),
    ("camping chair", ("chair",), "Outdoors > Camping > Chairs", "chairs", ("color",)),
)
_BRANDS = ("Alder", "Brook", "Cedar", "Dunes", "Ember", "Fjord", "Grove", "Heath")
_ATTRIBUTES = (
    *("lightweight", "waterproof", "easy to clean", "eco friendly", "foldable", "hand made", "heavy duty", "long lasting"),
    *("quick drying", "scratch resistant"),
)
_OPTIONS: Mapping[str, Sequence[str]] = {
    "color": ("black", "dark blue", "forest green", "red", "white", "yellow"),
    "size": ("small", "medium", "large", "extra large"),
    "capacity": ("half a litre", "one litre", "ten litres", "thirty litres"),
}
_MOST = 100_000
_WORD = re.compile(r"[a-z0-9]+")


@dataclass(frozen=True, kw_only=True)
class Product:
    """What one can buy."""

    id: str
    title: str
    kind: str
    """What it is, as in `hiking backpack`."""
    nouns: tuple[str, ...]
    """Nouns of the title, in lower case."""
    category: str
    """Path from the widest category to the narrowest, parted by ` > `."""
    query: str
    """What one searches for to find its kind."""
    attributes: tuple[str, ...]
    """What it is known to be; some of it stands nowhere in the text."""
    description: str
    options: Mapping[str, tuple[str, ...]]
    """By name, the values to choose from."""
    price: float
    """In dollars."""

    @property
    def text(self) -> str:
        """All that can be read of it, in lower case."""
        return f"{self.title} {self.description}".lower()


@functools.lru_cache(maxsize=16)
def products(seed: int, count: int) -> tuple[Product, ...]:
    """`count` products; under one seed a larger shop begins with a smaller one."""
    return tuple(_product(number, random.Random(f"shop {seed} {number}")) for number in range(count))


def _product(number: int, rng: random.Random) -> Product:
    phrase, nouns, category, query, options = _KINDS[number % len(_KINDS)]
    brand = rng.choice(_BRANDS)
    attributes = tuple(rng.sample(_ATTRIBUTES, 4))
    told = f"{attributes[1]}, {attributes[2]}" if rng.random() < 0.5 else attributes[1]
    return Product(
        id=f"P{number:04d}",
        title=f"{brand} {attributes[0]} {phrase}",
        kind=phrase,
        nouns=(brand.lower(), *nouns),
        category=category,
        query=query,
        attributes=attributes,
        description=f"{phrase.capitalize()}: {told}.",
        options={name: tuple(rng.sample(_OPTIONS[name], rng.randint(2, 4))) for name in options},
        price=rng.randint(500, 12_000) / 100,
    )


def found(shop: Sequence[Product], query: str) -> list[Product]:
    """Products whose text has words of the query, those with more and rarer ones first."""
    wanted = set(_WORD.findall(query.lower()))
    words = [set(_WORD.findall(f"{p.text} {p.query} {p.category.lower()}")) for p in shop]
    spread = Counter(word for own in words for word in own & wanted)
    scores = [sum(1 / spread[word] for word in own & wanted) for own in words]
    ranked = sorted(zip(scores, shop, strict=True), key=lambda pair: (-pair[0], pair[1].id))
    return [product for score, product in ranked if score > 0]


def shop_tasks(seed: int, count: int, size: int = 60) -> list[Task]:
    """Shopping tasks in the shop of `size` products that the seed makes. The reference holds what is wanted."""
    rng, shop = random.Random(f"shop tasks {seed}"), products(seed, size)
    return [_task(number, seed, size, rng.choice(shop), rng) for number in range(count)]


def _task(number: int, seed: int, size: int, product: Product, rng: random.Random) -> Task:
    attributes = sorted(rng.sample(product.attributes, 2))
    options = {name: rng.choice(values) for name, values in product.options.items()}
    limit = (int(product.price // 10) + rng.randint(1, 3)) * 10.0
    chosen = ", ".join(f"{name} {value}" for name, value in options.items())
    prompt = f"Buy this in the shop: {product.kind}, {' and '.join(attributes)}, {chosen}, for at most {limit:.2f} dollars."
    goal: dict[str, Json] = {"product": product.id, "attributes": attributes, "options": options, "price_limit": limit}
    return Task(
        id=f"shop/{seed}/{number}",
        prompt=prompt,
        context={"shop": {"seed": seed, "products": size}},
        reference=goal,
        metadata={"set": "shop"},
    )


def shop_of(context: Mapping[str, Any]) -> tuple[Product, ...] | None:
    """The products of a task's shop, `{"shop": {"seed": 1, "products": 60}}`; None if the context describes none."""
    described = context.get("shop")
    if not isinstance(described, Mapping):
        return None
    shop = cast("Mapping[str, object]", described)
    seed, count = shop.get("seed"), shop.get("products")
    if isinstance(seed, bool) or not isinstance(seed, int) or not isinstance(count, int) or not 0 < count <= _MOST:
        return None
    return products(seed, count)
