"""Stored runs as OpenTelemetry spans, by the semantic conventions for generative AI.

A run is a trace: the run's span, below it its steps, below these their calls. Ids are taken from the run's and the rows' own
ids, so that a run that is sent twice is the same trace. Verdicts are evaluation events on the span of the call that made
the candidate, choices are events on the run. Texts are left out unless they are asked for.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, TraceFlags
from opentelemetry.trace.status import Status, StatusCode

from .. import __version__
from ..core.ids import canonical_json

if TYPE_CHECKING:
    from ..core.runs import RunSpec
    from .reader import Reader
    from .views import CallRow, DecisionRow, RunRow, StepRow, VerdictRow

PAGE = 200
"""Most calls whose texts are held at once."""
_SCOPE = InstrumentationScope("burnish", __version__)
_PARAMETERS = {
    "max_tokens": "max_tokens",
    "temperature": "temperature",
    "top_p": "top_p",
    "top_k": "top_k",
    "stop": "stop_sequences",
}
"""Sampling fields, and what they are called within `gen_ai.request`."""
_FINISH = {"boundary": "stop"}

Attributes = dict[str, Any]


def run_spans(reader: Reader, run_id: str, *, content: bool = False) -> Iterator[list[ReadableSpan]]:
    """The spans of a run, page by page, the run's own first.

    Raises:
        StoreError: there is no such run, or a stored text is missing or damaged.
    """
    return _Trace(reader, run_id, content=content).pages()


class _Trace:
    def __init__(self, reader: Reader, run_id: str, *, content: bool) -> None:
        self._reader, self._content = reader, content
        self._run, self._spec = reader.run(run_id), reader.spec(run_id)
        self._id = int(run_id, 16)
        self._root = self._context(run_id)
        self._steps = {step.position: step for step in reader.steps(run_id)}
        self._resource = Resource.create({"service.name": "burnish", "service.version": __version__})
        self._made: dict[str, str] = {}
        """The call that made each candidate."""
        self._events: dict[str | None, list[Event]] = {}
        """Verdicts by the call whose span they belong to; None for the run's."""

    def pages(self) -> Iterator[list[ReadableSpan]]:
        reader, run_id = self._reader, self._run.id
        self._made = {c.id: c.call_id for c in reader.candidates(run_id) if c.call_id}
        for verdict in reader.verdicts(run_id):
            self._events.setdefault(self._made.get(verdict.candidate_id), []).append(_evaluation(verdict, content=self._content))
        own = self._events.get(None, []) + [_choice(decision) for decision in reader.decisions(run_id)]
        yield [self._run_span(own), *map(self._step_span, self._steps.values())]
        after = 0
        while calls := reader.calls(run_id, limit=PAGE, after=after):
            after = calls[-1].seq
            yield self._call_spans(calls)

    def _context(self, row_id: str) -> SpanContext:
        # The last 64 bits of a row's id are hashed or random, and 0 with a chance of 2**-64.
        return SpanContext(self._id, int(row_id[-16:], 16), is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED))

    def _span(
        self, name: str, context: SpanContext, parent: SpanContext | None, began: int, ended: int, **rest: Any
    ) -> ReadableSpan:
        times = {"start_time": began, "end_time": max(began, ended)}
        return ReadableSpan(name, context, parent, self._resource, instrumentation_scope=_SCOPE, **times, **rest)

    def _status(self, failed: bool, message: str) -> Status:
        # A message may quote a text.
        return Status(StatusCode.ERROR, message if self._content else None) if failed else Status(StatusCode.UNSET)

    def _run_span(self, events: list[Event]) -> ReadableSpan:
        run, graph = self._run, _label(self._run.graph)
        began = run.started_ns or run.created_ns
        return self._span(
            f"invoke_workflow {graph}",
            self._root,
            None,
            began,
            run.ended_ns or run.heartbeat_ns or began,
            attributes=_present(_run_attributes(run, self._spec, graph) | self._run_content()),
            events=events,
            status=self._status(run.status == "failed", run.error),
        )

    def _run_content(self) -> Attributes:
        if not self._content:
            return {}
        asked = [message.to_json() for message in self._spec.task.chat().messages or ()]
        answer = self._reader.text(self._run.answer_sha) if self._run.answer_sha else None
        return {
            "gen_ai.input.messages": canonical_json([_message(message) for message in asked]),
            "gen_ai.output.messages": None if answer is None else canonical_json([_said(answer, "", "stop")]),
        }

    def _step_span(self, step: StepRow) -> ReadableSpan:
        above = self._steps.get(step.parent)
        attributes = {"burnish.position": step.position, "burnish.attempts": step.attempts, "error.type": step.error_code or None}
        return self._span(
            step.node,
            self._context(step.id),
            self._context(above.id) if above else self._root,
            step.started_ns,
            step.ended_ns or step.started_ns,
            attributes=_present(attributes),
            status=self._status(step.status == "failed", step.error),
        )

    def _call_spans(self, calls: list[CallRow]) -> list[ReadableSpan]:
        wanted = {call.request_sha for call in calls if call.engine}
        if self._content:
            wanted |= {sha for c in calls for sha in (c.prompt_sha, c.text_sha, c.reasoning_sha) if sha}
        texts = self._reader.texts(wanted)
        return [self._call_span(call, texts) for call in calls]

    def _call_span(self, call: CallRow, texts: Mapping[str, str]) -> ReadableSpan:
        step = self._steps.get(call.step)
        attributes: Attributes = {
            "burnish.position": call.position,
            "burnish.state": call.state,
            "burnish.attempts": call.attempts,
        }
        attributes |= {
            "burnish.role": call.role or None,
            "burnish.purpose": call.purpose or None,
            "error.type": call.error_code or None,
        }
        name, kind = call.kind, SpanKind.INTERNAL
        if call.engine:
            name, kind = f"chat {call.model}", SpanKind.CLIENT
            attributes |= _model_call(call, json.loads(texts[call.request_sha]))
            attributes |= _content(call, texts) if self._content else {}
        return self._span(
            name,
            self._context(call.id),
            self._context(step.id) if step else self._root,
            call.sent_ns,
            call.sent_ns + round((call.seconds or 0.0) * 1e9),
            kind=kind,
            attributes=_present(attributes),
            events=self._events.get(call.id, []),
            status=self._status(call.state == "error", call.error),
        )


def _run_attributes(run: RunRow, spec: RunSpec, graph: str) -> Attributes:
    return {
        "gen_ai.operation.name": "invoke_workflow",
        "gen_ai.workflow.name": graph,
        "burnish.run.id": run.id,
        "burnish.batch.id": run.batch_id,
        "burnish.task.id": run.task_id,
        "burnish.seed": spec.seed,
        "burnish.status": run.status,
        "burnish.outcome": run.outcome,
        "burnish.score": run.score,
        "burnish.budget_limit": run.budget_limit or None,
        "burnish.forked_from": run.forked_from,
        "error.type": run.error_code or None,
    }


def _model_call(call: CallRow, request: Mapping[str, Any]) -> Attributes:
    sampling: Mapping[str, Any] = request.get("sampling", {})
    found: Attributes = {f"gen_ai.request.{theirs}": sampling.get(ours) for ours, theirs in _PARAMETERS.items()}
    finish = call.finish_reason
    return found | {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": call.engine,
        "gen_ai.request.model": call.model,
        "gen_ai.response.model": call.model if finish else None,
        "gen_ai.request.seed": call.seed,
        "gen_ai.response.id": call.id,
        "gen_ai.response.finish_reasons": [_FINISH.get(finish, finish)] if finish else None,
        "gen_ai.usage.input_tokens": call.prompt_tokens if finish else None,
        "gen_ai.usage.output_tokens": call.completion_tokens if finish else None,
        "gen_ai.usage.cache_read.input_tokens": call.cached_tokens or None,
        "gen_ai.usage.reasoning.output_tokens": call.reasoning_tokens or None,
    }


def _content(call: CallRow, texts: Mapping[str, str]) -> Attributes:
    prompt: Mapping[str, Any] = json.loads(texts[call.prompt_sha]) if call.prompt_sha else {}
    text, reasoning = (texts[sha] if sha else "" for sha in (call.text_sha, call.reasoning_sha))
    finish = call.finish_reason
    said = canonical_json([_said(text, reasoning, _FINISH.get(finish, finish))]) if finish else None
    asked = canonical_json([_message(message) for message in prompt["messages"]]) if "messages" in prompt else None
    return {"gen_ai.input.messages": asked, "gen_ai.output.messages": said}


def _message(message: Mapping[str, Any]) -> dict[str, Any]:
    content: Any = message["content"]
    parts: list[dict[str, Any]] = [{"type": "text", "text": content}] if isinstance(content, str) else content
    made = [
        {"type": "text", "content": part["text"]}
        if part["type"] == "text"
        else {"type": "uri", "modality": "image", "uri": part["image_url"]["url"]}
        for part in parts
    ]
    return {"role": message["role"], "parts": made}


def _said(text: str, reasoning: str, finish: str) -> dict[str, Any]:
    thought = [{"type": "reasoning", "content": reasoning}] if reasoning else []
    return {"role": "assistant", "parts": [*thought, {"type": "text", "content": text}], "finish_reason": finish}


def _evaluation(verdict: VerdictRow, *, content: bool) -> Event:
    attributes: Attributes = {
        "gen_ai.evaluation.name": verdict.verifier,
        "gen_ai.evaluation.score.value": verdict.score,
        "gen_ai.evaluation.score.label": verdict.outcome,
        "gen_ai.evaluation.explanation": verdict.feedback if content and verdict.feedback else None,
        "burnish.candidate.id": verdict.candidate_id,
        "burnish.reason": verdict.reason or None,
        "burnish.grading": verdict.grading,
    }
    return Event("gen_ai.evaluation.result", _present(attributes), verdict.created_ns)


def _choice(decision: DecisionRow) -> Event:
    attributes: Attributes = {
        "burnish.position": decision.position,
        "burnish.policy": decision.policy,
        "burnish.candidate.id": decision.candidate_id,
        "burnish.reason": decision.reason,
        "burnish.confidence": decision.confidence,
    }
    return Event("burnish.decision", _present(attributes), decision.created_ns)


def _present(attributes: Attributes) -> Attributes:
    return {name: value for name, value in attributes.items() if value is not None}


def _label(graph: str) -> str:
    """A graph's name without the folders of this machine."""
    where, colon, attribute = graph.rpartition(":")
    return f"{Path(where).name}:{attribute}" if colon and where.endswith(".py") else graph
