"""The shop as a task set: grader and verifier on every purchase that there is, and a comparison by the set's name."""

import json

from burnish.bench.sets.registry import load_tasks
from burnish.bench.sets.shop import PRODUCTS, shop_check
from burnish.core.candidate import Candidate
from burnish.core.verify import judge
from burnish.environments.shop_products import products
from burnish.verifiers import make_verifier
from tests.cli_kit import burnish as burnish

TASKS = load_tasks("shop", seed=3)


def purchase(product, options):
    return json.dumps({"product": product.id, "options": options})


def purchases(task):
    """Each product with the options that are asked for where it has them, and with its first ones."""
    wanted = task.reference["options"]
    for product in products(3, PRODUCTS):
        fitting = {name: value for name, value in wanted.items() if value in product.options.get(name, ())}
        for options in (fitting, {name: values[0] for name, values in product.options.items()}):
            yield purchase(product, options)


def test_the_set_is_the_same_under_a_seed_and_asks_for_what_can_be_had():
    assert [t.to_json() for t in load_tasks("shop", seed=3)] == [t.to_json() for t in TASKS]
    assert {t.id for t in TASKS}.isdisjoint(t.id for t in load_tasks("shop", seed=4))
    assert len(TASKS) == 200
    assert all(make_verifier(t.grader).oracle and not make_verifier(t.verifier).oracle for t in TASKS[:3])


async def test_what_the_verifier_passes_is_right_and_what_it_abstains_from_need_not_be():
    grader, said = make_verifier(TASKS[0].grader), {"pass": [], "fail": [], "abstain": []}
    for task in TASKS[:20]:
        for text in purchases(task):
            true = await grader.verify(task, Candidate.of(text))
            found = shop_check(task, text)
            said[found.outcome].append(true.outcome == "pass")
            if found.outcome == "fail":
                assert 0 <= found.score < 1
    assert all(said["pass"])
    assert len(said["pass"]) > 5
    assert {True, False} == set(said["abstain"])
    assert sum(said["fail"]) < len(said["fail"]) / 20


async def test_the_product_that_is_meant_is_never_rejected():
    for task in TASKS:
        meant = next(p for p in products(3, PRODUCTS) if p.id == task.reference["product"])
        text = purchase(meant, task.reference["options"])
        assert shop_check(task, text).outcome in ("pass", "abstain")
        verdict = await judge(make_verifier(task.grader), task, Candidate.of(text))
        assert (verdict.outcome, verdict.score) == ("pass", 1.0)


def test_feedback_names_what_contradicts_the_request_and_not_the_product_that_is_meant():
    task = next(t for t in TASKS if "size" in t.reference["options"])
    other = next(p for p in products(3, PRODUCTS) if p.kind == "desk lamp")
    verdict = shop_check(task, purchase(other, {}))
    assert f"it is no {task.context['request']['kind']}" in verdict.feedback
    assert f"the size is not chosen, not {task.reference['options']['size']}" in verdict.feedback
    assert task.reference["product"] not in verdict.feedback
    assert shop_check(task, "nothing").reason == "no_answer"


PLAYER = r"""
import re


def play(call):
    '''Searches, opens the first product that is found, chooses nothing and buys.'''
    if "[buy now]" in call.text:
        return "Thought: good enough.\nAction: click[buy now]"
    if found := re.findall(r"\[(P\d+)\]", call.text):
        return f"Thought: that one.\nAction: click[{found[0]}]"
    return f"Action: search[{re.search('in the shop: ([^,]+),', call.text)[1]}]"
"""


def test_methods_are_compared_on_it_by_its_name(burnish, tmp_path):
    (tmp_path / "play.py").write_text(PLAYER)
    engine = ("--engine", "scripted", "--engine-arg", "replies=play.py:play", "--limit", "4")
    done = burnish("compare", "one=episode:env=shop", "two=episode:env=shop,n0=2", "--benchmark", "shop", *engine, "--json")
    assert done.status == 0, done.err
    arms = done.data["arms"]
    assert [(a["name"], a["runs"], a["ungraded"]) for a in arms] == [("one", 4, 0), ("two", 4, 0)]
    assert arms[0]["verification"]["audit"]["rejected_wrong"] > 0
