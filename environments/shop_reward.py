"""WebShop's reward (arXiv 2207.01206, section 3.2; numbers as in its repository): how well what was bought fits what was wanted.

    r = r_type * (attributes that match + options that match + 1 if the price is not above the limit)
               / (attributes wanted + options wanted + 1)

Attributes and options match by a token-set ratio above 85, sizes only exactly; an attribute matches too if it stands in the
product's text. Each wanted option counts once. The nouns of titles are given here, where WebShop has a parser find them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from .shop_products import Product

FUZZY = 85.0
_EXACT = ("size",)


@dataclass(frozen=True, kw_only=True)
class Reward:
    """The reward with what it is made of."""

    type: float
    """0, 0.1, 0.5 or 1: whether it is the kind of product that was wanted."""
    attributes: int
    """Wanted attributes that match."""
    options: int
    """Wanted options that match."""
    price: bool
    """Whether the price is not above the limit."""
    wanted: tuple[int, int]
    """Numbers of wanted attributes and options."""

    @property
    def total(self) -> float:
        """From 0 to 1."""
        return self.type * (self.attributes + self.options + self.price) / (sum(self.wanted) + 1)


def shop_reward(
    bought: Product,
    chosen: Mapping[str, str],
    *,
    wanted: Product,
    attributes: Sequence[str],
    options: Mapping[str, str],
    price_limit: float,
) -> Reward:
    """What buying a product with the chosen options is worth, where another, with these attributes and options, was wanted."""
    return Reward(
        type=type_reward(bought, wanted),
        attributes=sum(_has(bought, attribute.lower()) for attribute in attributes),
        options=sum(_was_chosen(name, value, chosen) for name, value in options.items()),
        price=bought.price <= price_limit,
        wanted=(len(attributes), len(options)),
    )


def type_reward(bought: Product, wanted: Product) -> float:
    """Whether it is the kind of product that was wanted: 1 if the query is the same, two category levels are shared, or more
    than a fifth of the wanted title's nouns occur; else 0.5. Whatever matched, 0.1 below a tenth of the nouns, and 0 without any.
    """
    shared = len(set(_levels(bought)) & set(_levels(wanted))) >= 2
    nouns = set(bought.nouns) & set(wanted.nouns)
    overlap = len(nouns) / len(wanted.nouns) if wanted.nouns else 0.2
    if overlap == 0:
        return 0.0
    if overlap < 0.1:
        return 0.1
    return 1.0 if bought.query == wanted.query or shared or overlap > 0.2 else 0.5


def token_set_ratio(first: str, second: str) -> float:
    """Likeness of two texts as sets of words, 0 to 100: the best of the common words and the two wholes against each other."""
    one, other = set(first.lower().split()), set(second.lower().split())
    if not one or not other:
        return 0.0
    common = " ".join(sorted(one & other))
    ours = f"{common} {' '.join(sorted(one - other))}".strip()
    theirs = f"{common} {' '.join(sorted(other - one))}".strip()
    pairs = ((common, ours), (common, theirs), (ours, theirs))
    return max(100 * SequenceMatcher(None, a, b, autojunk=False).ratio() for a, b in pairs if a or b)


def _levels(product: Product) -> list[str]:
    return [level.strip() for level in product.category.split(">")]


def _has(product: Product, attribute: str) -> bool:
    return any(token_set_ratio(own, attribute) > FUZZY for own in product.attributes) or attribute in product.text


def _was_chosen(name: str, value: str, chosen: Mapping[str, str]) -> bool:
    if name.lower() in _EXACT:
        return chosen.get(name, "").lower() == value.lower()
    others = (v for n, v in chosen.items() if n.lower() not in _EXACT)
    return any(token_set_ratio(value, v) > FUZZY for v in others)
