"""The viewer's drawings: nothing covers anything, all is inside, every number is finite, no text gets out of its element."""

from __future__ import annotations

import math
import re

from hypothesis import given, settings
from hypothesis import strategies as st

from burnish.traces.views import CandidateRow, StepRow
from burnish.view import charts, graph_svg, svg, timeline_svg, tree_svg
from tests.drawing_kit import (
    SECOND,
    SVG,
    apart,
    arm,
    by_class,
    call,
    candidate,
    decision,
    links,
    parsed,
    rects,
    right,
    step,
    verdict,
    written,
)

HOSTILE = "</text><script>alert(1)</script>\"'&\x1b[31m\u202e\x00\ufffe]]>"


@st.composite
def forests(draw: st.DrawFn) -> list[CandidateRow]:
    """Candidates of one to three searches, each with earlier ones as parents or none."""
    rows: list[CandidateRow] = []
    for at in range(draw(st.integers(0, 40))):
        parent = draw(st.sampled_from([None, *rows]))
        row = candidate(at, parent, scope=f"/search@{draw(st.integers(1, 3))}/s0", partial=draw(st.booleans()))
        if parent and draw(st.booleans()):
            second_parent = draw(st.sampled_from(rows))
            row = candidate(at, parent, kind="merge", parents=tuple(dict.fromkeys([parent.id, second_parent.id])))
        rows.append(row)
    return rows


@settings(max_examples=60, deadline=None)
@given(forests(), st.integers(1, 50), st.data())
def test_no_candidate_covers_another_and_all_are_linked(rows, limit, data):
    chosen = data.draw(st.sampled_from(rows)) if rows else None
    drawn = tree_svg.draw(rows, href="/runs/r/candidates/", chosen=chosen.id if chosen else None, limit=limit)
    root = parsed(drawn)
    boxes = rects(root, "box")
    assert apart(boxes)
    assert len(boxes) == len(links(root))
    assert len(boxes) == min(len(rows), max(limit, len(boxes)))
    if chosen:
        assert f"/runs/r/candidates/{chosen.id}" in links(root)
    left = len(rows) - len(boxes)
    assert (f"… and {left} more" in written(root)) == (left > 0)


def test_the_same_candidates_give_the_same_drawing():
    rows = [candidate(0), candidate(1)]
    rows.append(candidate(2, rows[0]))
    assert tree_svg.draw(rows, href="/") == tree_svg.draw(list(rows), href="/")


def test_the_path_to_the_answer_stands_out():
    a, b = candidate(0), candidate(1)
    c = candidate(2, a)
    d, e = candidate(3, c), candidate(4, b)
    root = parsed(tree_svg.draw([a, b, c, d, e], [verdict(d)], [decision(d)], href="/c/", chosen=d.id))
    assert len(by_class(root, "path")) == 2
    assert len(by_class(root, "edge")) == 3
    assert [x.attrib["href"] for x in by_class(root, "chosen")] == [f"/c/{d.id}"]
    assert "best_of_n: passed" in written(root)


def test_a_merged_candidate_is_joined_to_all_that_it_was_made_of():
    a, b = candidate(0), candidate(1)
    both = candidate(2, a, kind="merge", parents=(a.id, b.id))
    root = parsed(tree_svg.draw([a, b, both], href=""))
    assert (len(by_class(root, "edge")), len(by_class(root, "merged"))) == (2, 1)


def test_the_path_to_the_answer_is_drawn_even_where_there_are_too_many():
    rows = [candidate(at) for at in range(500)]
    rows += [candidate(500, rows[400]), candidate(501, rows[499])]
    root = parsed(tree_svg.draw(rows, href="", chosen=rows[500].id, limit=20))
    assert {rows[400].id, rows[500].id, rows[0].id} <= set(links(root))
    assert "… and 482 more" in written(root)


def test_a_chain_longer_than_the_stack_is_drawn():
    rows = [candidate(0)]
    for at in range(1, 1500):
        rows.append(candidate(at, rows[-1]))
    assert len(rects(parsed(tree_svg.draw(rows, href="", limit=2000)), "box")) == 1500


def test_outcomes_have_shapes_of_their_own():
    a = candidate(0)
    failed = verdict(a, "abstain", None, evidence={"error": "boom"}, reason="verifier_error")
    assert tree_svg.standing([verdict(a), verdict(a, "fail", 0.0)])[0] == "fail"
    assert tree_svg.standing([verdict(a, "fail", 0.0), verdict(a, grading=True)])[0] == "fail"
    assert tree_svg.standing([verdict(a, grading=True)])[0] == "unjudged"
    assert tree_svg.standing([verdict(a, "abstain", None)])[0] == "abstain"
    assert tree_svg.standing([failed])[0] == "error"
    assert tree_svg.standing([verdict(a, "fail", 0.8)], partial=True)[0] == "partial"
    assert tree_svg.standing([verdict(a, "fail", 0.0)], partial=True)[0] == "fail"
    shapes = ("pass", "fail", "partial", "abstain", "error", "unjudged")
    # Without the class, and so without the colour, they still differ.
    assert len({re.sub('class="[^"]*"', "", tree_svg.mark(how, 9, 9)) for how in shapes}) == len(shapes)
    graded = parsed(tree_svg.draw([a], [verdict(a, "fail", 0.0), verdict(a, grading=True)], href=""))
    assert [g.attrib["class"] for g in by_class(by_class(graded, "candidate")[0], "grade")] == ["grade pass"]


def test_hostile_text_stays_text():
    a = candidate(0, preview=HOSTILE, scope="/" + HOSTILE)
    said = verdict(a, verifier=HOSTILE, reason=HOSTILE)
    c = call(0, 0, 1, role=HOSTILE, preview=HOSTILE, error=HOSTILE, state="error", position=HOSTILE)
    s = step(0, HOSTILE, 1, status="failed", error=HOSTILE)
    drawn = (
        tree_svg.draw([a], [said], [decision(a, policy=HOSTILE, reason=HOSTILE)], href="/c/"),
        timeline_svg.draw([c], href="/c/", now_ns=SECOND),
        graph_svg.draw([s], now_ns=SECOND, href="/c?node="),
        charts.accuracy_against_tokens([arm(HOSTILE, 10, 0.5, 0.4, 0.6)]),
    )
    for markup in drawn:
        root = parsed(markup)
        assert "<script" not in markup
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f\u202e\ufffe]", markup)
        assert any("<script>alert(1)" in (e.text or "") for e in root.iter())
        assert all(re.fullmatch(r"/c/0{32}|/c\?node=[\w%.~-]+", href) for href in links(root))


@settings(max_examples=80, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.floats(0, 1e6, allow_nan=False),
            st.none() | st.floats(0, 1e5) | st.just(math.nan),
            st.sampled_from(["proposer", "judge", "a"]),
        ),
        max_size=60,
    ),
    st.floats(0, 1e7),
    st.integers(1, 40),
)
def test_no_call_covers_another(times, now, limit):
    calls = [call(at, start, took, role=role) for at, (start, took, role) in enumerate(sorted(times, key=lambda t: t[0]))]
    root = parsed(timeline_svg.draw(calls, href="/runs/r/calls/", now_ns=round(now * SECOND), limit=limit))
    assert len(links(root)) == min(limit, len(calls))
    assert apart(rects(root, "bar"))
    bars, _ = timeline_svg.pack(calls, round(now * SECOND))
    assert all(b.end > b.start for b in bars)
    overlaps = max((sum(o.start <= b.start < o.end for o in bars) for b in bars), default=0)
    assert max((b.lane for b in bars), default=-1) + 1 == overlaps, "as few lanes as hold them"


def test_effects_share_one_colour_and_roles_have_their_own():
    kinds = [f"effect {at}" for at in range(12)]
    calls = [call(at, at, 1, engine="", role="", kind=kind) for at, kind in enumerate(kinds)]
    calls += [call(20 + at, 20 + at, 1, role=role) for at, role in enumerate(("proposer", "judge"))]
    root = parsed(timeline_svg.draw(calls, href="", now_ns=0))
    assert len(by_class(root, "effect")) == 13  # and once in the key
    assert len(by_class(root, "hue-0")) == len(by_class(root, "hue-1")) == 2
    assert "effects" in written(root)


def test_calls_in_flight_have_no_end_and_failed_ones_are_crossed_out():
    calls = [call(0, 0, 2), call(1, 1, None), call(2, 1.5, 0.25, state="error", error_code="timeout")]
    root = parsed(timeline_svg.draw(calls, href="/c/", now_ns=4 * SECOND, total=10))
    assert [x.attrib["href"][-1] for x in by_class(root, "intent")] == ["1"]
    assert [x.attrib["href"][-1] for x in by_class(root, "error")] == ["2"]
    assert "… and 7 more" in written(root)
    bars = {b.call.seq: b for b in timeline_svg.pack(calls, 4 * SECOND)[0]}
    assert (bars[1].end, bars[0].lane, bars[1].lane, bars[2].lane) == (4, 0, 1, 2)


def test_idle_time_between_a_kill_and_the_resume_is_cut_out():
    hours = 14 * 3600
    calls = [call(0, 0, 3), call(1, 1, 1), call(2, hours, 3), call(3, hours + 3.1, 2)]
    bars, breaks = timeline_svg.pack(calls, 0)
    assert len(breaks) == 1
    assert math.isclose(breaks[0].seconds, hours - 3, rel_tol=1e-4)
    assert 3 < breaks[0].at < bars[2].start < 3.5
    assert math.isclose(bars[2].end - bars[2].start, 3)
    assert max(b.end for b in bars) < 9
    root = parsed(timeline_svg.draw(calls, href="", now_ns=0))
    assert len(by_class(root, "break")) == 1


def test_short_idle_times_stay():
    calls = [call(0, 0, 3), call(1, 3.5, 3)]
    bars, breaks = timeline_svg.pack(calls, 0)
    assert breaks == []
    assert bars[1].start == 3.5


@given(st.floats(1e-6, 1e9))
def test_ticks_are_few_and_inside(span):
    found = timeline_svg.ticks(span)
    assert 2 <= len(found) <= 9
    assert found[0] == 0
    assert found[-1] <= span * (1 + 1e-9)


def test_times_are_told_as_people_read_them():
    told = [timeline_svg.seconds(s) for s in (0.00001, 0.00012, 0.0123, 0.9996, 3.456, 99.6, 3725)]
    assert told == ["0 ms", "0.1 ms", "12.3 ms", "1 s", "3.46 s", "1 min 40 s", "1 h 2 min"]


def test_the_graph_is_what_was_executed():
    steps = [
        step(0, "plan", 1),
        step(1, "branch", 2, index=".0"),
        step(2, "explore", 1, parent="/branch@2.0"),
        step(3, "branch", 2, index=".1"),
        step(4, "explore", 1, parent="/branch@2.1/#1"),
        step(5, "check", 3),
        step(6, "plan", 4),
        step(7, "check", 5, status="failed"),
        step(8, "plan", 6, status="running", ended_ns=None),
    ]
    nodes, edges = graph_svg.executed(steps, {"/plan@1": 5, "/plan@4": 6}, 20 * SECOND)
    plan, branch, check = ("plan",), ("branch",), ("check",)
    assert list(nodes) == [plan, branch, ("branch", "explore"), check]
    assert edges == {(plan, branch): 1, (branch, check): 1, (check, plan): 2, (plan, check): 1}
    assert (nodes[plan].visits, nodes[plan].tokens, nodes[plan].seconds, nodes[plan].running) == (3, 11, 14.0, 1)
    assert (nodes["branch", "explore"].visits, nodes["branch", "explore"].depth, nodes[check].failed) == (2, 1, 1)
    root = parsed(graph_svg.draw(steps, now_ns=20 * SECOND, tokens={"/plan@1": 5}, href="/runs/r/calls?node="))
    assert apart(rects(root, "box"))
    assert links(root)[0] == "/runs/r/calls?node=plan"
    assert len(by_class(root, "back")) == 1


_names = st.sampled_from(["plan", "check", "a node with a long name " * 4, "é/@1", "日本語" * 20])


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(_names, st.integers(-1, 6), st.integers(1, 5)), max_size=30), st.integers(1, 20))
def test_nodes_stand_apart_whatever_ran(asked, limit):
    steps: list[StepRow] = []
    for at, (name, inside, number) in enumerate(asked):
        parent = steps[inside].position if 0 <= inside < len(steps) else ""
        steps.append(step(at, name, number, parent=parent))
    root = parsed(graph_svg.draw(steps, now_ns=0, limit=limit))
    assert apart(rects(root, "box"))
    assert len(rects(root, "box")) == min(limit, len(graph_svg.executed(steps, {}, 0)[0]))


_arms = st.tuples(st.floats(0, 1e7), st.floats(0, 1), st.text(max_size=60))


@settings(max_examples=60, deadline=None)
@given(st.lists(_arms, max_size=24))
def test_names_of_arms_stand_apart(said):
    arms = [arm(name, tokens, value, max(0, value - 0.1), min(1, value + 0.1)) for tokens, value, name in said]
    root = parsed(charts.accuracy_against_tokens(arms))
    assert len([p for p in by_class(root, "point")]) == len(arms)
    names = [t for group in by_class(root, "arm") for t in group.iter(f"{SVG}text")]
    boxes = [(float(t.attrib["x"]), float(t.attrib["y"]) - 10, right(t), float(t.attrib["y"]) + 4) for t in names]
    assert apart(boxes)


def test_more_accurate_is_higher_and_dearer_is_further_right():
    root = parsed(charts.accuracy_against_tokens([arm("a", 100, 0.2, 0.1, 0.3), arm("b", 10_000, 0.8, 0.7, 0.9)]))
    a, b = ((float(p.attrib["cx"]), float(p.attrib["cy"])) for p in by_class(root, "point"))
    assert a[0] < b[0]
    assert a[1] > b[1]
    assert {"100", "1,000", "10,000"} <= set(written(root).split("\n"))


@given(st.lists(st.none() | st.just(math.nan) | st.floats(-1, 2), max_size=300))
def test_scores_by_round(best):
    root = parsed(charts.scores(best))
    assert len(by_class(root, "point")) == sum(s is not None and math.isfinite(s) for s in best)


def test_nothing_to_draw_says_so():
    assert "no candidates" in tree_svg.draw([], href="")
    assert "no calls" in timeline_svg.draw([], href="", now_ns=0)
    assert "no node has run" in graph_svg.draw([], now_ns=0)
    assert "no arm" in charts.accuracy_against_tokens([])
    assert "no round" in charts.scores([])
    for empty in (tree_svg.draw([], href=""), graph_svg.draw([], now_ns=0), charts.scores([])):
        parsed(empty)


@given(st.text(), st.floats(0, 300))
def test_text_fits_its_room(content, room):
    shown = svg.fit(content, room)
    assert not shown or svg.extent(shown) <= room
    assert "\n" not in shown
    if svg.extent(svg.line(content, 1000)) <= room:
        assert shown == svg.line(content, 1000)
