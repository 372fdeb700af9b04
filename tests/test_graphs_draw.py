"""`burnish graphs draw`: Mermaid, and SVG of a layout of our own."""

import re
from itertools import pairwise
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from burnish.cli.svg import Edge, svg
from burnish.graphs.registry import build_graph
from tests.cli_kit import burnish as burnish

NS = {"s": "http://www.w3.org/2000/svg"}


def picture(text):
    """Boxes by their text, and how many lines of each kind there are."""
    root = ElementTree.fromstring(text)
    boxes = {}
    for group in root.findall("s:g", NS):
        rect = group.find("s:rect", NS).attrib
        boxes[group.find("s:text", NS).text] = tuple(float(rect[k]) for k in ("x", "y", "width", "height"))
    kinds = [p.get("class") for p in root.findall("s:path", NS)]
    width, height = (float(root.get(k)) for k in ("width", "height"))
    return boxes, kinds, (width, height)


def test_a_graph_is_drawn_from_top_to_bottom(burnish, tmp_path):
    done = burnish("graphs", "draw", "plangen", "--out", "plangen.svg")
    assert (done.status, done.out) == (0, "")
    boxes, kinds, _ = picture((tmp_path / "plangen.svg").read_text())
    plan = build_graph("plangen").get_graph(xray=True)
    assert {"start", "end", *(n for n in plan.nodes if not n.startswith("__"))} == set(boxes)
    assert (kinds.count("choice"), len(kinds)) == (sum(e.conditional for e in plan.edges), len(plan.edges))
    y = {name: box[1] for name, box in boxes.items()}
    assert y["start"] < y["propose"] == y["constrain"] < y["verify"] < y["learn"] < y["select"] < y["search"]
    assert y["end"] == max(y.values())


def test_mermaid_is_the_default_and_settings_change_the_graph(burnish, tmp_path):
    assert "graph TD" in burnish("graphs", "draw", "best_of_n").out
    mixture, alone = (burnish("graphs", "draw", "plangen", *more).out for more in ((), ("--set", "algorithm=best_of_n")))
    assert ("learn" in mixture, "learn" in alone) == (True, False)
    assert burnish("graphs", "draw", "best_of_n", "--format", "svg").out.startswith("<svg")
    assert burnish("graphs", "draw", "best_of_n", "--out", "no/such/folder.svg").status == 2
    assert burnish("graphs", "draw", "nope").status == 2
    assert burnish("graphs", "draw", "best_of_n", "--format", "png").status == 2


def test_names_are_text_whatever_they_are():
    drawn = svg(["__start__", "<b>&\"'", "\x1b[31mred"], [Edge("__start__", "<b>&\"'", "a < b"), Edge("<b>&\"'", "\x1b[31mred")])
    boxes, _, _ = picture(drawn)
    assert set(boxes) == {"start", "<b>&\"'", "\\x1b[31mred"}
    assert "a &lt; b" in drawn
    assert "\x1b" not in drawn


NAMES = [f"n{i}" for i in range(8)]


@given(st.integers(0, 8), st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(NAMES)), max_size=20))
def test_any_graph_is_drawn_whole_and_without_overlap(count, pairs):
    nodes = NAMES[:count]
    edges = [Edge(a, b) for a, b in pairs if a in nodes and b in nodes]
    boxes, kinds, (width, height) = picture(svg(nodes, edges))
    assert set(boxes) == set(nodes)
    assert len(kinds) == len(edges)
    places = list(boxes.values())
    for i, (x, y, w, h) in enumerate(places):
        assert x >= 0 <= y
        assert x + w <= width
        assert y + h <= height
        assert all(y != y2 or x + w <= x2 or x2 + w2 <= x for x2, y2, w2, _ in places[i + 1 :])


@pytest.mark.parametrize("edges", [[("a", "b"), ("b", "a")], [("a", "a")], [("a", "b"), ("b", "c"), ("a", "c")]])
def test_loops_and_leaps_bend_around(edges):
    drawn = svg(["a", "b", "c"], [Edge(*e) for e in edges])
    assert len(re.findall(r" d=\"M[^\"]+ C", drawn)) == 1


def test_a_long_chain_is_no_recursion():
    nodes = [f"n{i}" for i in range(3000)]
    assert svg(nodes, [Edge(a, b) for a, b in pairwise(nodes)]).count("<rect") == 3000
