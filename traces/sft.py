"""Accepted answers and dialogues as chat examples, for supervised fine-tuning on what a model did well.

An example is accepted by a verdict that passes: the grader's where a grader judged the run, else the verifier's. That is
rejection sampling, and for Auto-RAG's dialogues the filter of its training data: a dialogue is kept if its answer is right.

- `answers`: the request as it was sent, and the candidate; all accepted candidates of a run.
- `direct`: the task alone, and the candidate: what a search found, to be said at once.
- `dialogues`: the request of the call that gave the run's answer, and its whole reply. Where a method keeps one dialogue, as
  Auto-RAG does, that is all of it: the model's turns, with documents as the user's. An answer at once is no dialogue.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, cast

from ..core.ids import Json, json_hash
from ..core.task import Task

if TYPE_CHECKING:
    from .reader import Reader
    from .views import CallRow, CandidateRow, RunRow, VerdictRow

What: TypeAlias = Literal["answers", "direct", "dialogues"]
By: TypeAlias = Literal["auto", "grader", "verifier"]
Turns: TypeAlias = "list[dict[str, Any]]"


@dataclass(frozen=True, kw_only=True)
class Selecting:
    """Which examples are wanted, and in what form."""

    what: What = "answers"
    by: By = "auto"
    """Whose pass accepts; `auto`: the grader's where one judged, else the verifier's."""
    per_task: int | None = None
    """Most examples of a task; None for no limit."""
    max_chars: int | None = None
    """Most characters of all turns of an example; None for no limit."""
    system: str | None = None
    """System text in place of what was sent; empty for none, None to leave it as it was."""
    examples: bool = True
    """Whether to keep worked examples: turns between the system text and the one that asks the task."""


@dataclass(kw_only=True)
class Count:
    """What became of the runs and candidates that were looked at."""

    examples: int = 0
    left_out: Counter[str] = field(default_factory=Counter[str])
    """By why: `not accepted`, `duplicate`, `cut`, ..."""


def sft_examples(reader: Reader, runs: Iterable[str], wanted: Selecting, count: Count) -> Iterator[dict[str, Json]]:
    """The examples of runs, by their whole ids: `{"messages": [...], "metadata": {...}}`. `count` is added to meanwhile.

    Raises:
        StoreError: a stored text is missing or damaged.
        ConfigError: there is no such run.
    """
    seen: set[str] = set()
    of_task: Counter[str] = Counter()
    for run_id in runs:
        run = reader.run(run_id)
        for example in _of_run(reader, run, wanted, count):
            turns = example["messages"]
            key = json_hash(turns)
            if isinstance(turns, str):
                why = turns
            elif wanted.max_chars is not None and _size(turns) > wanted.max_chars:
                why = "too long"
            elif key in seen:
                why = "duplicate"
            elif wanted.per_task is not None and of_task[run.task_id] >= wanted.per_task:
                why = "more than wanted of a task"
            else:
                seen.add(key)
                of_task[run.task_id] += 1
                count.examples += 1
                yield example
                continue
            count.left_out[why] += 1


def _of_run(reader: Reader, run: RunRow, wanted: Selecting, count: Count) -> Iterator[dict[str, Any]]:
    """The accepted examples of a run; one that has no form has the reason in place of its messages."""
    if run.status != "done":
        count.left_out[f"run {run.status}"] += 1
        return
    judged = _accepting(reader.verdicts(run.id), wanted.by)
    calls = {call.id: call for call in reader.calls(run.id, effects=False)}
    task = reader.task(run.id)
    for candidate in reader.candidates(run.id):
        if candidate.partial or (wanted.what == "dialogues" and candidate.id != run.candidate_id):
            continue
        verdict = judged.get(candidate.id)
        if verdict is None or verdict.outcome != "pass":
            count.left_out["not accepted"] += 1
            continue
        call = calls.get(candidate.call_id or "")
        yield {
            "messages": _messages(reader, task, candidate, call, wanted),
            "metadata": {
                "run_id": run.id,
                "task_id": run.task_id,
                "candidate_id": candidate.id,
                "graph": run.graph,
                "model": call.model if call else "",
                "kind": candidate.kind,
                "score": verdict.score,
                "accepted_by": verdict.verifier,
                "oracle": verdict.oracle,
            },
        }


def _accepting(verdicts: Sequence[VerdictRow], by: By) -> dict[str, VerdictRow]:
    """The verdict that decides on each candidate: the newest of the grader's, or of the verifier's."""
    graded = any(v.grading for v in verdicts)
    grading = graded if by == "auto" else by == "grader"
    return {v.candidate_id: v for v in verdicts if v.grading == grading}


def _messages(reader: Reader, task: Task, candidate: CandidateRow, call: CallRow | None, wanted: Selecting) -> Turns | str:
    """The turns of an example, or why there are none."""
    if candidate.finish_reason in ("length", "aborted"):
        return "cut"
    reply = reader.text(candidate.text_sha)
    if wanted.what == "direct" or (call is None and wanted.what == "answers"):
        turns = _task_turns(task)
    elif call is None or call.prompt_sha is None:
        return "made by no call"
    else:
        prompt = cast("Mapping[str, Any]", json.loads(reader.text(call.prompt_sha)))
        if "messages" not in prompt:
            return "asked by token ids"
        turns = cast("Turns", prompt["messages"])
        if wanted.what == "dialogues":
            if prompt.get("prefix_ids"):
                return "asked by token ids"
            if all(turn["role"] != "assistant" for turn in _own(turns, task)):
                return "answered at once"
            reply = prompt.get("prefix_text", "") + (reader.text(call.text_sha) if call.text_sha else "")
    if any(not isinstance(turn["content"], str) for turn in turns):
        return "with images"
    if not reply.strip():
        return "empty"
    every = [*_shaped(turns, task, wanted), {"role": "assistant", "content": reply}]
    return [{"role": turn["role"], "content": turn["content"]} for turn in every]


def _task_turns(task: Task) -> Turns:
    return [dict(message.to_json()) for message in task.chat().messages or ()]


def _shaped(turns: Turns, task: Task, wanted: Selecting) -> Turns:
    """The turns under another system text, without worked examples, as wanted."""
    system, rest = [t for t in turns if t["role"] == "system"], [t for t in turns if t["role"] != "system"]
    rest = rest if wanted.examples else _own(rest, task)
    if wanted.system is None:
        return [*system, *rest]
    return [*([{"role": "system", "content": wanted.system}] if wanted.system else []), *rest]


def _own(turns: Turns, task: Task) -> Turns:
    """The turns from the one on that asks the task; all of them if none does."""
    asking = [n for n, t in enumerate(turns) if t["role"] == "user" and task.prompt.strip() in str(t["content"])]
    return turns[asking[0] :] if asking else turns


def _size(messages: Sequence[Mapping[str, Any]]) -> int:
    return sum(len(message["content"]) for message in messages)
