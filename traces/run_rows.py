"""The row of a run: as it is accepted, and at its end. What it holds that could be secret is taken out here."""

from __future__ import annotations

import time

from ..core.redact import redact, redact_json, redact_text
from ..core.runs import RunEnd, RunSpec
from ..core.text import storable
from .codec import json_text, text_bytes
from .pending import Row
from .rows import FEEDBACK, PREVIEW, Encoder
from .run_state import RunState


def run_row(encoder: Encoder, spec: RunSpec, now: int) -> Row:
    """The row of a run that is to be done."""
    task = encoder.blob(text_bytes(json_text(redact(spec.task.to_json()))))
    head = (spec.id, spec.batch_id, storable(spec.task.id), storable(spec.graph), spec.seed, "queued")
    epoch = 1 if spec.forked_from else 0  # A fork has a record before anybody runs it.
    nothing_yet = (None, None, None, None, None, "", "", "", None, epoch, None, 0, now, None, None)
    settings, engines = (storable(redact_json(json_text(value))) for value in (spec.settings, spec.engines))
    configuration = (json_text(spec.budget.to_json()), settings, engines)
    return (*head, *nothing_yet, spec.code_version, task, *configuration, spec.forked_from, spec.forked_at)


def end_row(encoder: Encoder, state: RunState, end: RunEnd, elapsed: float) -> Row:
    """What a run's row becomes at its end: the parameters of `run_end`."""
    answer = None if end.answer is None else storable(end.answer[:PREVIEW])
    answer_sha = None if end.answer is None else encoder.blob(text_bytes(end.answer))
    result = (end.status, end.outcome, end.score, answer, answer_sha, end.candidate_id)
    error = (end.budget_limit, end.error_code, storable(redact_text(end.error)[:FEEDBACK]))
    return (*result, *error, round(elapsed * 1e9), time.time_ns(), state.run_id, state.epoch)
