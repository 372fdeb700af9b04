"""The synthetic shop: how one buys in it, what it sells, and WebShop's reward."""

import json
from dataclasses import replace
from itertools import combinations

import pytest

from burnish import ConfigError, Task
from burnish.core.environment import Environment
from burnish.environments import Shop
from burnish.environments.shop_products import _OPTIONS, Product, found, products, shop_tasks
from burnish.environments.shop_reward import FUZZY, shop_reward, token_set_ratio, type_reward

MUG = Product(
    id="P1",
    title="Alder lightweight coffee mug",
    kind="coffee mug",
    nouns=("alder", "coffee", "mug"),
    category="Home > Kitchen > Cups",
    query="cups and mugs",
    attributes=("lightweight", "easy to clean"),
    description="Coffee mug: hand made.",
    options={"color": ("red", "dark blue"), "size": ("large", "extra large")},
    price=20.0,
)
GOAL = {"attributes": ["lightweight", "hand made"], "options": {"color": "dark blue", "size": "large"}, "price_limit": 30.0}


def shopping(number=0, **changes):
    return replace(shop_tasks(7, number + 1)[number], **changes)


def answer_to(task):
    return json.dumps({"product": task.reference["product"], "options": task.reference["options"]})


async def walk(task, *actions):
    shop = Shop()
    await shop.reset(task, 0)
    for action in actions:
        seen = await shop.step(action)
    return shop, seen


def test_it_is_an_environment():
    assert isinstance(Shop(), Environment)
    with pytest.raises(ConfigError, match="page_size"):
        Shop(page_size=0)
    for context in (
        {},
        {"shop": 1},
        {"shop": {"seed": 1}},
        {"shop": {"seed": True, "products": 3}},
        {"shop": {"seed": 1, "products": 0}},
    ):
        with pytest.raises(ConfigError, match="describes no shop"):
            Shop().check(Task(prompt="Buy.", context=context))


def test_the_same_seed_makes_the_same_shop():
    assert products(3, 40) == products(3, 60)[:40]
    assert products(3, 40) != products(4, 40)
    assert shop_tasks(3, 5) == shop_tasks(3, 5)
    assert len({product.id for product in products(3, 60)}) == 60
    for product in products(3, 60):
        assert len(set(product.attributes)) == 4
        assert product.price > 0


@pytest.mark.parametrize("number", range(6))
async def test_what_is_wanted_can_be_bought_and_is_worth_1(number):
    task = shopping(number)
    goal = task.reference
    shop, seen = await walk(task, f"search[{products(7, 60)[int(goal['product'][1:])].title}]")
    while f"[{goal['product']}]" not in seen.text:
        seen = await shop.step("click[next]")
        assert not seen.refused
    for click in (goal["product"], *goal["options"].values()):
        seen = await shop.step(f"click[{click}]")
        assert not seen.refused
    end = await shop.step("click[Buy Now]")
    assert end.done
    verdict = await Shop().reward(task, end.answer)
    assert (verdict.outcome, verdict.score) == ("pass", 1.0)


async def test_pages_and_what_is_not_on_them():
    task = shopping()
    shop, seen = await walk(task, "search[shoes chair lamp]")
    assert seen.text.startswith("Page 1 of ")
    assert (await shop.step("click[previous]")).refused
    assert (await shop.step("click[buy now]")).refused
    second = await shop.step("click[Next]")
    assert second.text.startswith("Page 2 of ")
    assert (await shop.step("click[previous]")).text == seen.text
    elsewhere = second.text.splitlines()[1][1:6]
    assert (await shop.step(f"click[{elsewhere}]")).refused
    here = seen.text.splitlines()[1][1:6]
    page = await shop.step(f"click[{here}]")
    assert "[buy now]" in page.text
    assert (await shop.step("click[purple]")).refused
    assert (await shop.step("click[previous]")).text == seen.text
    await shop.step("click[back to search]")
    assert (await shop.step("search[qwertz]")).text == "Nothing was found."


@pytest.mark.parametrize(
    "action", ["", "buy", "search[]", "search", "click[x] click[y", "look[around]", "search[a]\nclick[b]x", "\0["]
)
async def test_a_malformed_action_is_an_observation(action):
    shop, seen = await walk(shopping(), action)
    assert seen.refused
    assert not seen.done
    assert not (await shop.step("search[lamp]")).refused


async def test_the_newest_choice_of_an_option_counts():
    shop, _ = await walk(shopping(), "search[lamp]")
    lamp = found(products(7, 60), "lamp")[0]
    await shop.step(f"click[{lamp.id}]")
    for color in lamp.options["color"][:2]:
        page = await shop.step(f"click[{color}]")
        assert f"(chosen: {color})" in page.text
    end = await shop.step("click[buy now]")
    assert json.loads(end.answer) == {"options": {"color": lamp.options["color"][1]}, "product": lamp.id}


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "[]",
        "no JSON",
        '{"product": "P9999", "options": {}}',
        '{"product": "P0001"}',
        '{"product": "P0001", "options": []}',
        '{"product": "P0001", "options": {"color": "gold"}}',
        '{"product": "P0001", "options": {"color": ["red"]}}',
        '{"product": "P0001", "options": {"flavour": "red"}}',
        "[" * 5000,
    ],
)
async def test_what_the_shop_cannot_have_sold_is_worth_nothing(answer):
    verdict = await Shop().reward(shopping(), answer)
    assert (verdict.outcome, verdict.score, verdict.reason) == ("fail", 0.0, "no_answer")


async def test_a_task_that_does_not_say_what_is_wanted_is_not_judged():
    for reference in (None, "P0001", {"product": "P0001"}, {"product": "P9999", **GOAL}):
        task = shopping(reference=reference)
        assert (await Shop().reward(task, '{"product": "P0001", "options": {}}')).reason == "no_reference"


async def test_feedback_tells_what_is_missing_by_number_only():
    task = shopping()
    wrong = json.dumps({"product": "P0006", "options": {}})
    verdict = await Shop().reward(task, wrong)
    assert verdict.outcome == "fail"
    assert "as asked for" in verdict.feedback
    assert task.reference["product"] not in verdict.feedback
    full = await Shop().reward(task, answer_to(task))
    assert full.outcome == "pass"


@pytest.mark.parametrize(
    ("changes", "chosen", "value"),
    [
        ({}, {"color": "dark blue", "size": "large"}, 1.0),
        ({}, {"color": "blue dark", "size": "large"}, 1.0),
        ({}, {"color": "dark blue", "size": "extra large"}, 4 / 5),
        ({}, {"color": "large"}, 3 / 5),
        ({}, {}, 3 / 5),
        ({"price": 30.0}, {"color": "dark blue", "size": "large"}, 1.0),
        ({"price": 30.01}, {"color": "dark blue", "size": "large"}, 4 / 5),
        # "hand made" stands in the description only, "lightweight" in the title too.
        ({"description": "A mug."}, {"color": "dark blue", "size": "large"}, 4 / 5),
        ({"attributes": ()}, {"color": "dark blue", "size": "large"}, 1.0),
        ({"attributes": (), "title": "Mug", "description": ""}, {"color": "dark blue", "size": "large"}, 3 / 5),
        # Another kind of product, from half of the nouns to none.
        ({"query": "x", "category": "y", "nouns": ("brook", "coffee")}, {"color": "dark blue", "size": "large"}, 1.0),
        ({"nouns": ("lamp",)}, {"color": "dark blue", "size": "large"}, 0.0),
    ],
)
def test_rewards_worked_out_by_hand(changes, chosen, value):
    assert shop_reward(replace(MUG, **changes), chosen, wanted=MUG, **GOAL).total == pytest.approx(value)


def nouns(shared, of):
    """Products of which the one has `shared` of the other's `of` nouns, and nothing else in common."""
    wanted = replace(MUG, nouns=tuple(f"n{i}" for i in range(of)))
    return replace(MUG, nouns=wanted.nouns[:shared], query="other", category="Elsewhere"), wanted


@pytest.mark.parametrize(
    ("shared", "of", "value"), [(0, 3, 0.0), (1, 11, 0.1), (1, 10, 0.5), (1, 5, 0.5), (2, 9, 1.0), (0, 0, 0.5), (3, 3, 1.0)]
)
def test_the_type_by_nouns_alone(shared, of, value):
    assert type_reward(*nouns(shared, of)) == value


@pytest.mark.parametrize(
    ("category", "query", "value"),
    [
        ("Home > Kitchen > Pans", "other", 1.0),
        ("Kitchen > Home", "other", 1.0),
        ("Home > Lamps", "other", 0.5),
        ("Home > Home", "other", 0.5),
        ("Elsewhere", "cups and mugs", 1.0),
    ],
)
def test_the_type_by_category_and_query(category, query, value):
    bought, wanted = nouns(1, 5)
    assert type_reward(replace(bought, category=category, query=query), wanted) == value


def test_few_nouns_outdo_query_and_category():
    bought, wanted = nouns(1, 11)
    assert type_reward(replace(bought, category=MUG.category, query=MUG.query), wanted) == 0.1
    assert type_reward(replace(bought, nouns=("other",), category=MUG.category, query=MUG.query), wanted) == 0.0


@pytest.mark.parametrize(
    ("first", "second", "value"),
    [
        ("red", "red", 100),
        ("Dark Blue", "blue dark", 100),
        ("blue", "dark blue", 100),
        ("red", "blue", 200 / 7 * 1),
        ("", "red", 0),
        ("", "", 0),
        ("fuzzy was a bear", "fuzzy fuzzy was a bear", 100),
    ],
)
def test_the_token_set_ratio(first, second, value):
    assert token_set_ratio(first, second) == pytest.approx(value)
    assert token_set_ratio(second, first) == pytest.approx(value)


def test_no_two_values_of_the_shop_pass_for_each_other():
    for name, values in _OPTIONS.items():
        for first, second in combinations(values, 2):
            assert name == "size" or token_set_ratio(first, second) <= FUZZY
