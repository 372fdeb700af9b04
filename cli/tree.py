"""The candidates of a run as a tree: under each search or node what it made, under each candidate what was made of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..core.ids import Json
from ..core.text import one_line, printable
from .lookup import ended, graph_label
from .output import number, paint, short
from .results import COLOURS

if TYPE_CHECKING:
    from ..traces.reader import Reader
    from ..traces.views import CandidateRow, DecisionRow, RunRow, VerdictRow

_MARKS = {"pass": "+", "fail": "x", "abstain": "?"}


@dataclass(frozen=True)
class Tree:
    """A run's candidates, with what was said of each and what was decided."""

    run: RunRow
    candidates: list[CandidateRow]
    verdicts: dict[str, list[VerdictRow]]
    decisions: dict[str, DecisionRow]
    """By the position of the search."""

    def scopes(self) -> dict[str, list[CandidateRow]]:
        """Candidates without a parent, by the search or node that made them."""
        known = {c.id for c in self.candidates}
        roots: dict[str, list[CandidateRow]] = {}
        for c in self.candidates:
            if c.parent_id not in known:
                roots.setdefault(_scope(c), []).append(c)
        return roots

    def walk(self, roots: list[CandidateRow]) -> Iterator[tuple[CandidateRow, str]]:
        """Candidates, parents before their children, each with the lines that are drawn before it."""
        children: dict[str, list[CandidateRow]] = {}
        for c in self.candidates:
            if c.parent_id:
                children.setdefault(c.parent_id, []).append(c)
        # A stack, not recursion: a chain of rewrites may be longer than Python's.
        stack = [(c, "", at == len(roots) - 1) for at, c in enumerate(roots)][::-1]
        while stack:
            candidate, stem, last = stack.pop()
            yield candidate, stem + ("└─ " if last else "├─ ")
            below = children.get(candidate.id, [])
            inner = stem + ("   " if last else "│  ")
            stack.extend([(c, inner, at == len(below) - 1) for at, c in enumerate(below)][::-1])

    def lines(self) -> Iterator[str]:
        """The tree, drawn."""
        run = self.run
        score = f" {number(run.score)}" if run.score is not None else ""
        word = ended(run)
        yield f"run {short(run.id)}  {one_line(graph_label(run.graph), 80)}: {paint(word, COLOURS.get(word))}{score}"
        if not self.candidates:
            yield "no candidates"
        for scope, roots in self.scopes().items():
            decision = self.decisions.get(scope)
            yield printable(scope.lstrip("/")) + (
                f"  {printable(decision.policy)}: {printable(decision.reason)}" if decision else ""
            )
            for candidate, stem in self.walk(roots):
                yield stem + self._label(candidate)

    def to_json(self) -> dict[str, Json]:
        """As `--json` gives it."""
        listed: list[Json] = []
        for scope, roots in self.scopes().items():
            for c, _ in self.walk(roots):
                verdicts: list[Json] = [
                    {"verifier": v.verifier, "outcome": v.outcome, "score": v.score, "reason": v.reason, "grading": v.grading}
                    for v in self.verdicts.get(c.id, [])
                ]
                facts = {"id": c.id, "parents": list(c.parents), "scope": scope, "depth": c.depth, "kind": c.kind}
                text = {"answer": c.answer, "preview": c.preview, "finish_reason": c.finish_reason}
                listed.append({**facts, "chosen": c.id == self.run.candidate_id, "verdicts": verdicts, **text})
        return {"run_id": self.run.id, "chosen": self.run.candidate_id, "candidates": listed}

    def _label(self, candidate: CandidateRow) -> str:
        said = self.verdicts.get(candidate.id, [])
        marks = " ".join(paint(self._verdict(v), COLOURS.get(v.outcome)) for v in said) or "- not judged"
        kind = "" if candidate.kind == "fresh" else f"  {candidate.kind}"
        cut = "  cut" if candidate.finish_reason == "length" else ""
        chosen = paint("  <- chosen", "bold") if candidate.id == self.run.candidate_id else ""
        return f"{short(candidate.id)}  {marks}{kind}{cut}  {one_line(candidate.preview, 60)}{chosen}"

    def _verdict(self, verdict: VerdictRow) -> str:
        score = f" {number(verdict.score)}" if verdict.score is not None else ""
        reason = f" {one_line(verdict.reason, 40)}" if verdict.reason else ""
        who = " (grader)" if verdict.grading else ""
        return f"{_MARKS[verdict.outcome]} {verdict.outcome}{score}{reason}{who}"


def load_tree(reader: Reader, run: RunRow) -> Tree:
    """Read a run's tree."""
    verdicts: dict[str, list[VerdictRow]] = {}
    for verdict in reader.verdicts(run.id):
        verdicts.setdefault(verdict.candidate_id, []).append(verdict)
    decisions = {d.position: d for d in reader.decisions(run.id)}
    return Tree(run, reader.candidates(run.id), verdicts, decisions)


def _scope(candidate: CandidateRow) -> str:
    return candidate.position.rpartition("/")[0]
