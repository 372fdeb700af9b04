"""What the tests of the viewer's drawings share: rows to draw, and a parser that checks what holds of every drawing."""

from __future__ import annotations

import math
import re
import xml.etree.ElementTree as ET
from itertools import combinations

from burnish.compare.summary import ArmSummary, Cost, Verification
from burnish.core.runs import Usage
from burnish.stats import Audit, Interval
from burnish.traces.views import CallRow, CandidateRow, DecisionRow, StepRow, VerdictRow
from burnish.view import svg

SVG = "{http://www.w3.org/2000/svg}"
ALLOWED = {"div", *(SVG + t for t in ("svg", "g", "a", "rect", "circle", "polygon", "path", "line", "text", "title"))}
SECOND = 1_000_000_000


def candidate(at: int, parent: CandidateRow | None = None, *, scope: str = "/search@1/s0", **rest: object) -> CandidateRow:
    fields: dict = {
        "id": f"{at:032x}",
        "seq": at,
        "position": f"{scope}/x{at}",
        "kind": "refine" if parent else "fresh",
        "parent_id": parent.id if parent else None,
        "parents": (parent.id,) if parent else (),
        "depth": parent.depth + 1 if parent else 0,
        "call_id": None,
        "finish_reason": "stop",
        "partial": False,
        "answer": None,
        "answer_sha": None,
        "preview": "an answer",
        "text_sha": "0" * 32,
        "reasoning_sha": None,
        "created_ns": at,
    }
    return CandidateRow(**{**fields, **rest})


def verdict(of: CandidateRow, outcome: str = "pass", score: float | None = 1.0, **rest: object) -> VerdictRow:
    fields: dict = {
        "id": "v" + of.id[1:],
        "seq": of.seq,
        "position": of.position + "/v.numeric",
        "candidate_id": of.id,
        "verifier": "numeric",
        "version": "1",
        "oracle": False,
        "grading": False,
        "outcome": outcome,
        "score": score,
        "reason": "",
        "feedback": "",
        "feedback_sha": None,
        "evidence": {},
        "evidence_sha": None,
        "valid_prefix": None,
        "seconds": 0.1,
        "created_ns": 0,
    }
    return VerdictRow(**{**fields, **rest})


def decision(of: CandidateRow, **rest: object) -> DecisionRow:
    fields: dict = {
        "id": "d" * 32,
        "seq": 10**6,
        "position": of.position.rpartition("/")[0],
        "policy": "best_of_n",
        "selected": of.position.rpartition("/")[2],
        "candidate_id": of.id,
        "reason": "passed",
        "confidence": None,
        "details": {},
        "options": None,
        "created_ns": 0,
    }
    return DecisionRow(**{**fields, **rest})


def call(at: int, start: float, took: float | None, **rest: object) -> CallRow:
    fields: dict = {
        "id": f"{at:032x}",
        "seq": at,
        "ended_seq": None,
        "position": f"/search@1/s0/x{at}/call",
        "step": "/search@1",
        "kind": "generate",
        "role": "proposer",
        "purpose": "",
        "engine": "scripted",
        "model": "toy",
        "state": "intent" if took is None else "ok",
        "attempts": 1,
        "request_hash": "",
        "request_sha": "",
        "prompt_sha": None,
        "seed": 1,
        "finish_reason": "stop",
        "preview": "text",
        "text_sha": None,
        "reasoning_sha": None,
        "value_sha": None,
        "prompt_tokens": 10,
        "cached_tokens": 0,
        "completion_tokens": 5,
        "reasoning_tokens": 0,
        "cost_micro_usd": 0,
        "error_code": "",
        "error": "",
        "sent_ns": round(start * SECOND),
        "seconds": took,
    }
    return CallRow(**{**fields, **rest})


def step(at: int, name: str, number: int, parent: str = "", index: str = "", **rest: object) -> StepRow:
    fields: dict = {
        "id": f"{at:032x}",
        "seq": at,
        "ended_seq": None,
        "position": f"{parent}/{name}@{number}{index}",
        "node": name,
        "parent": parent,
        "status": "done",
        "attempts": 1,
        "started_ns": at * SECOND,
        "ended_ns": (at + 1) * SECOND,
        "error_code": "",
        "error": "",
    }
    return StepRow(**{**fields, **rest})


def arm(name: str, tokens: float, value: float, low: float, high: float) -> ArmSummary:
    costs = dict.fromkeys(Cost.__dataclass_fields__, 0.0)
    none = dict.fromkeys(Verification.__dataclass_fields__, 0)
    said = Verification(**{**none, "audit": Audit(), "tpr": None, "fpr": None, "precision": None})
    return ArmSummary(
        name=name,
        runs=10,
        right=5,
        ungraded=0,
        accuracy=Interval(value, low, high),
        against=None,
        p_holm=None,
        cost=Cost(**{**costs, "output_tokens": tokens}),
        verification=said,
        pass_at={},
        majority_at={},
        by_group={},
        beyond=0,
        total=Usage(),
    )


def parsed(markup: str) -> ET.Element:
    """The drawing's root, after all that must hold of every drawing has been checked."""
    box = ET.fromstring(markup)
    root = box.find(f"{SVG}svg")
    assert root is not None
    _, _, width, height = map(float, root.attrib["viewBox"].split())
    assert (float(root.attrib["width"]), float(root.attrib["height"])) == (width, height)
    for element in box.iter():
        assert element.tag in ALLOWED
        for name, value in element.attrib.items():
            assert not name.startswith("on")
            assert name != "style"
            if name not in ("class", "href", "aria-label", "role", "viewBox"):
                numbers = [float(n) for n in re.findall(r"-?[\d.]+", value)]
                assert all(math.isfinite(n) for n in numbers)
                assert "nan" not in value
                assert "inf" not in value
        if element.tag in (f"{SVG}rect", f"{SVG}text"):
            x, y = float(element.attrib["x"]), float(element.attrib["y"])
            assert x >= -0.01
            assert y >= 0
            assert x + float(element.attrib.get("width", 0)) <= width + 0.01
            assert y + float(element.attrib.get("height", 0)) <= height + 0.01
        if element.tag == f"{SVG}text":
            assert right(element) <= width + 1
        if element.tag == f"{SVG}path":
            ends = [float(n) for n in re.findall(r"-?[\d.]+", element.attrib["d"])]
            assert all(0 <= n <= max(width, height) for n in ends)
    return root


def right(text: ET.Element) -> float:
    """Where a text ends at most."""
    kinds = text.attrib.get("class", "").split()
    share = 0 if "end" in kinds else 0.5 if "middle" in kinds else 1
    return float(text.attrib["x"]) + share * svg.extent(text.text or "")


def rects(root: ET.Element, kind: str) -> list[tuple[float, float, float, float]]:
    """Corners of the rectangles of a class."""
    found = [r for r in root.iter(f"{SVG}rect") if kind in r.attrib["class"].split()]
    sides = [[float(r.attrib[n]) for n in ("x", "y", "width", "height")] for r in found]
    return [(x, y, x + w, y + h) for x, y, w, h in sides]


def apart(boxes: list[tuple[float, float, float, float]]) -> bool:
    slack = 0.011  # Coordinates are written with two decimals.
    return all(
        a[2] <= b[0] + slack or b[2] <= a[0] + slack or a[3] <= b[1] + slack or b[3] <= a[1] + slack
        for a, b in combinations(boxes, 2)
    )


def links(root: ET.Element) -> list[str]:
    return [a.attrib["href"] for a in root.iter(f"{SVG}a")]


def written(root: ET.Element) -> str:
    return "\n".join(t.text or "" for t in root.iter(f"{SVG}text"))


def by_class(root: ET.Element, kind: str) -> list[ET.Element]:
    return [e for e in root.iter() if kind in e.attrib.get("class", "").split()]
