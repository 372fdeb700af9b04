"""One run in words and in JSON."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, cast

from ..core.human import ASK
from ..core.ids import Json, canonical_json
from ..core.text import one_line, printable
from ..traces.questions import questions, spoken
from .abstentions import causes
from .answer import how, question_lines
from .lookup import ended, is_running, moment
from .output import indented, number, paint, short, show, show_table
from .questions import answer_command
from .results import COLOURS, usage_lines

if TYPE_CHECKING:
    from ..core.runs import RunSpec
    from ..traces.reader import Reader
    from ..traces.views import CallRow, CandidateRow, DecisionRow, RunRow, VerdictRow


_NAMED = 5
"""Most candidates that are named with a reason that they share."""


def run_json(reader: Reader, run_id: str, *, content: bool) -> dict[str, Json]:
    """All that `burnish runs show --json` gives; with `content` whole texts besides their beginnings."""
    run, spec = reader.run(run_id), reader.spec(run_id)
    data: dict[str, Any] = {
        "run": {**asdict(run), "live": is_running(run)},
        "task": spec.task.to_json(),
        "settings": spec.settings,
        "budget": spec.budget.to_json(),
        "engines": spec.engines,
        "usage": asdict(reader.usage(run_id)),
        "questions": [asdict(asked) for asked in questions(reader, run_id)],
        "steps": [asdict(step) for step in reader.steps(run_id)],
        "decisions": [asdict(decision) for decision in reader.decisions(run_id)],
        "effects": [{"position": c.position, "kind": c.kind, "value": value} for c, value in _effects(reader, run_id)],
        "failed_calls": [asdict(call) for call in _failed(reader, run_id)],
    }
    said = _by_candidate(reader.verdicts(run_id))
    candidates: list[dict[str, Any]] = []
    for row in reader.candidates(run_id):
        one = {**asdict(row), "chosen": row.id == run.candidate_id, "verdicts": [asdict(v) for v in said[row.id]]}
        if content:
            one["text"] = reader.text(row.text_sha)
            one["reasoning"] = reader.text(row.reasoning_sha) if row.reasoning_sha else ""
        candidates.append(one)
    data["candidates"] = candidates
    if content and run.answer_sha:
        data["answer"] = reader.text(run.answer_sha)
    return data


def print_run(reader: Reader, run_id: str, *, content: bool) -> None:
    """Print a run for people."""
    run, spec = reader.run(run_id), reader.spec(run_id)
    _print_facts(run, spec)
    for line in usage_lines(reader.usage(run_id)):
        show(line)
    if run.answer is not None:
        show("answer:")
        show(indented(reader.text(run.answer_sha) if content and run.answer_sha else run.answer))
    _print_questions(reader, run_id)
    if steps := reader.steps(run_id):
        show()
        rows = [[s.position.lstrip("/"), s.status, str(s.attempts), _seconds(s.started_ns, s.ended_ns), s.error] for s in steps]
        show_table(["STEP", "STATUS", "TIMES", "SECONDS", "ERROR"], rows, COLOURS)
    _print_candidates(reader, run, content=content)
    for decision in reader.decisions(run_id):
        _print_decision(decision)
    _print_effects(_effects(reader, run_id))
    if failed := _failed(reader, run_id):
        show()
        show_table(["CALL", "STATE", "CODE", "ERROR"], [[c.position, c.state, c.error_code, c.error] for c in failed])


def _print_facts(run: RunRow, spec: RunSpec) -> None:
    word = ended(run)
    score = f", score {number(run.score)}" if run.score is not None else ""
    show(f"run {run.id}: {paint(word, COLOURS.get(word))}{score}")
    show(f"task: {printable(one_line(run.task_id, 60))}: {one_line(spec.task.prompt, 200)}")
    show(f"graph: {one_line(run.graph, 200)}, seed {run.seed}, settings {one_line(canonical_json(spec.settings), 400)}")
    for role, engine in spec.engines.items():
        known = cast("dict[str, Any]", engine) if isinstance(engine, dict) else {}
        show(f"engine: {one_line(role, 40)}: {one_line(str(known.get('kind')), 40)} {one_line(str(known.get('model')), 200)}")
    if run.batch_id:
        show(f"batch: {run.batch_id}")
    if run.forked_from:
        show(f"forked from: {run.forked_from} at {printable(run.forked_at or '')}")
    if spec.budget:
        met = f"; the limit of {run.budget_limit} was met" if run.budget_limit else ""
        show("budget: " + ", ".join(f"{k}={v}" for k, v in spec.budget.to_json().items()) + met)
    if run.error:
        show(f"error: {one_line(run.error_code, 40)}: {one_line(run.error, 400)}")
    show(f"time: {moment(run.created_ns)}" + (f" to {moment(run.ended_ns)}" if run.ended_ns else ""))


def _print_questions(reader: Reader, run_id: str) -> None:
    """What the run asked, with what was said, or how it can be answered."""
    listed = questions(reader, run_id)
    unanswered = [asked for asked in listed if asked.reply is None]
    for asked in listed:
        show()
        for line in question_lines(asked):
            show(line)
        if asked.reply is None:
            show(f"  answer it: {answer_command(run_id, unanswered, asked.number)}, {how(asked.question)}")
            continue
        by = f" by {one_line(asked.reply.by, 40)}" if asked.reply.by else ""
        show(f"  answered{by}:")
        show(indented(spoken(asked.question, asked.reply)))


def _print_candidates(reader: Reader, run: RunRow, *, content: bool) -> None:
    candidates = reader.candidates(run.id)
    if not candidates:
        return
    said = _by_candidate(reader.verdicts(run.id))
    rows: list[list[str]] = []
    for c in candidates:
        mark = "*" if c.id == run.candidate_id else ""
        for v in said[c.id] or [None]:
            what = [v.outcome, number(v.score), v.verifier + (" (grader)" if v.grading else "")] if v else ["-", "-", "-"]
            rows.append([mark, short(c.id), c.kind, *what, v.reason if v else "", c.answer or "", one_line(c.preview)])
    show()
    show_table(["", "CANDIDATE", "KIND", "VERDICT", "SCORE", "VERIFIER", "REASON", "KEY", "TEXT"], rows, COLOURS)
    on: defaultdict[str, list[str]] = defaultdict(list)
    for c in candidates:
        for why in causes(reader, said[c.id]):
            on[why].append(short(c.id))
    for why, ids in on.items():
        more = f" and {len(ids) - _NAMED} more" if len(ids) > _NAMED else ""
        show(f"abstained on {', '.join(ids[:_NAMED])}{more}: {why}")
    if content:
        for c in candidates:
            _print_content(reader, c, said[c.id])


def _print_content(reader: Reader, candidate: CandidateRow, said: list[VerdictRow]) -> None:
    show()
    show(f"candidate {short(candidate.id)} ({candidate.finish_reason}), at {printable(candidate.position)}")
    if candidate.reasoning_sha:
        show("  reasoning:")
        show(indented(reader.text(candidate.reasoning_sha)))
    show("  text:")
    show(indented(reader.text(candidate.text_sha)))
    for verdict in said:
        feedback = reader.text(verdict.feedback_sha) if verdict.feedback_sha else verdict.feedback
        show(f"  {printable(verdict.verifier)}: {verdict.outcome} {printable(verdict.reason)}")
        if feedback:
            show(indented(feedback))


def _print_decision(decision: DecisionRow) -> None:
    show()
    chosen = f"chose {short(decision.candidate_id)}" if decision.candidate_id else "chose none"
    sure = f", confidence {number(decision.confidence)}" if decision.confidence is not None else ""
    show(f"decision: {printable(decision.policy)} {chosen}: {printable(decision.reason)}{sure}")
    votes = decision.details.get("votes")
    if isinstance(votes, dict):
        told = (f"{one_line(str(key), 40)!r} {count}" for key, count in votes.items())
        show(f"  votes: {', '.join(told)}")
    rest = {key: value for key, value in decision.details.items() if key != "votes"}
    if rest:
        show("  " + ", ".join(f"{one_line(key, 40)}: {one_line(canonical_json(value), 200)}" for key, value in rest.items()))


def _print_effects(effects: list[tuple[CallRow, Json]]) -> None:
    """What nodes did besides calling models; of a bandit's choice every term of every arm."""
    for call, value in effects:
        show()
        where = f"{printable(call.kind)} at {printable(call.position)}"
        terms = value.get("terms") if call.kind == "bandit.choice" and isinstance(value, Mapping) else None
        if not isinstance(terms, Mapping) or not isinstance(value, Mapping):
            show(f"{where}: {one_line(canonical_json(value), 400)}")
            continue
        show(f"{where}: {one_line(str(value.get('arm')), 40)}")
        by_arm = cast("Mapping[str, Mapping[str, float]]", terms)
        names = [*dict.fromkeys(name for said in by_arm.values() for name in said)]
        rows = [[arm, *(number(said.get(name)) for name in names)] for arm, said in by_arm.items()]
        show_table(["ARM", *(name.upper() for name in names)], rows)


def _effects(reader: Reader, run_id: str) -> list[tuple[CallRow, Json]]:
    """Finished effects in their order, each with its value; without questions, which are shown apart."""
    done = [c for c in reader.calls(run_id) if c.state == "ok" and c.value_sha and c.kind != ASK]
    return [(c, json.loads(reader.text(c.value_sha))) for c in done if c.value_sha]


def _failed(reader: Reader, run_id: str) -> list[CallRow]:
    """Calls that came to nothing, or whose result is not known."""
    return [c for c in reader.calls(run_id) if c.state in ("error", "refused", "intent") and c.kind != ASK]


def _by_candidate(verdicts: list[VerdictRow]) -> defaultdict[str, list[VerdictRow]]:
    found: defaultdict[str, list[VerdictRow]] = defaultdict(list)
    for verdict in verdicts:
        found[verdict.candidate_id].append(verdict)
    return found


def _seconds(started_ns: int, ended_ns: int | None) -> str:
    return "-" if ended_ns is None else f"{(ended_ns - started_ns) / 1e9:.2f}"
