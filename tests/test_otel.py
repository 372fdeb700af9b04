"""OpenTelemetry: a stored run arrives at a real collector's door as spans by the conventions, and only when asked for."""

import json
import re
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

pytest.importorskip("opentelemetry.exporter.otlp.proto.http")

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.semconv._incubating.attributes import gen_ai_attributes

from burnish import ConfigError, GenerationFailed, ScriptedEngine, Task
from burnish.core.errors import BurnishError
from burnish.engine.replies import Reply
from burnish.traces import otel_spans
from burnish.traces.otel import endpoint, json_lines, send
from tests.cli_kit import burnish as burnish
from tests.helpers import session

TASK = Task(prompt="What is 17 + 25?", id="sum", reference=42, verifier="numeric", grader="numeric")
SETTINGS = {"n": 3, "stop_at_pass": False, "width": 1, "system": "a private matter"}


@contextmanager
def collector(status=200):
    """A collector's HTTP door: keeps what it is sent."""
    got = []

    class Door(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            got.append((self.path, self.headers["Content-Type"], ExportTraceServiceRequest.FromString(body)))
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Door)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", got
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def spans(got):
    return [span for _, _, request in got for r in request.resource_spans for s in r.scope_spans for span in s.spans]


def value(any_value):
    kind = any_value.WhichOneof("value")
    found = getattr(any_value, kind)
    return [value(v) for v in found.values] if kind == "array_value" else found


def attributes(thing):
    return {a.key: value(a.value) for a in thing.attributes}


async def begun(path, **options):
    given = iter(["41", Reply(error=GenerationFailed("the private model is ill", code="ill")), "42"])
    async with session(path, engine=ScriptedEngine(lambda call: next(given), model="tiny")) as s:
        return (await s.run("best_of_n", TASK, settings=SETTINGS, **options)).run_id


async def sent(path, run_id, **options):
    with collector() as (url, got):
        async with session(path) as s:
            count = send(otel_spans.run_spans(s.store.reader(), run_id, **options), url)
    assert count == len(spans(got))
    assert {(where, kind) for where, kind, _ in got} == {("/v1/traces", "application/x-protobuf")}
    return got


async def test_a_run_is_a_trace_of_steps_and_calls(tmp_path):
    run_id = await begun(tmp_path)
    got = await sent(tmp_path, run_id)
    root, step, *calls = spans(got)
    assert {s.trace_id.hex() for s in spans(got)} == {run_id}
    assert (root.name, root.parent_span_id, step.name) == ("invoke_workflow best_of_n", b"", "search")
    assert step.parent_span_id == root.span_id
    assert {c.parent_span_id for c in calls} == {step.span_id}
    assert [c.name for c in calls] == ["chat tiny"] * 3
    assert len({s.span_id for s in spans(got)}) == 5
    assert all(s.start_time_unix_nano <= s.end_time_unix_nano for s in spans(got))
    facts = attributes(root)
    assert (facts["gen_ai.operation.name"], facts["burnish.task.id"], facts["burnish.outcome"]) == (
        "invoke_workflow",
        "sum",
        "verified",
    )
    first = attributes(calls[0])
    assert first["gen_ai.request.model"] == "tiny"
    assert first["gen_ai.provider.name"] == "scripted"
    assert first["gen_ai.response.finish_reasons"] == ["stop"]
    assert first["gen_ai.usage.input_tokens"] > 0
    assert first["gen_ai.usage.output_tokens"] == 1
    assert first["gen_ai.request.max_tokens"] == 512
    assert [c.status.code for c in calls] == [0, 2, 0]
    assert attributes(calls[1])["error.type"] == "ill"
    events = [attributes(e) for c in calls for e in c.events if e.name == "gen_ai.evaluation.result"]
    said = [(e["gen_ai.evaluation.name"], e["gen_ai.evaluation.score.label"], e["gen_ai.evaluation.score.value"]) for e in events]
    assert said == [("numeric", "fail", 0.0), ("numeric", "pass", 1.0), ("numeric", "pass", 1.0)]
    assert [e["burnish.grading"] for e in events] == [False, False, True]
    assert [e.name for e in root.events] == ["burnish.decision"]
    assert await sent(tmp_path, run_id) == got, "sent again it is the same trace"


async def test_texts_stay_here_unless_they_are_asked_for(tmp_path):
    run_id = await begun(tmp_path)
    without = b"".join(r.SerializeToString() for _, _, r in await sent(tmp_path, run_id))
    assert not re.search(rb"17 \+ 25|private", without)
    got = await sent(tmp_path, run_id, content=True)
    root, _, first, failed, _ = spans(got)
    asked = json.loads(attributes(first)["gen_ai.input.messages"])
    assert asked[0] == {"role": "system", "parts": [{"type": "text", "content": "a private matter"}]}
    said = json.loads(attributes(first)["gen_ai.output.messages"])
    assert said == [{"role": "assistant", "parts": [{"type": "text", "content": "41"}], "finish_reason": "stop"}]
    assert json.loads(attributes(root)["gen_ai.output.messages"])[0]["parts"][0]["content"] == "42"
    assert failed.status.message == "the private model is ill"


async def test_the_names_are_those_of_the_conventions(tmp_path):
    known = {v for n, v in vars(gen_ai_attributes).items() if n.startswith("GEN_AI_") and isinstance(v, str)}
    operations = {v.value for v in gen_ai_attributes.GenAiOperationNameValues}
    got = await sent(tmp_path, await begun(tmp_path), content=True)
    found = [attributes(s) for s in spans(got)] + [attributes(e) for s in spans(got) for e in s.events]
    used = {name for one in found for name in one}
    assert {n for n in used if n.startswith("gen_ai.")} <= known
    assert all(n.startswith(("gen_ai.", "burnish.")) or n == "error.type" for n in used)
    assert {one["gen_ai.operation.name"] for one in found if "gen_ai.operation.name" in one} <= operations
    assert set(re.findall(r'"(gen_ai\.[a-z_.]+)"', Path(otel_spans.__file__).read_text())) - known == {"gen_ai.evaluation.result"}


async def test_calls_are_sent_page_by_page(tmp_path, monkeypatch):
    monkeypatch.setattr(otel_spans, "PAGE", 2)
    got = await sent(tmp_path, await begun(tmp_path))
    assert [len(spans([one])) for one in got] == [2, 2, 1]


async def test_lines_of_otlp_json(tmp_path):
    run_id = await begun(tmp_path)
    async with session(tmp_path) as s:
        lines = list(json_lines(otel_spans.run_spans(s.store.reader(), run_id)))
    first = json.loads(lines[0])["resourceSpans"][0]
    root, step = first["scopeSpans"][0]["spans"]
    assert (root["traceId"], root["kind"], root["spanId"]) == (run_id, 1, step["parentSpanId"])
    assert {"key": "service.name", "value": {"stringValue": "burnish"}} in first["resource"]["attributes"]
    assert len(lines) == 2


async def test_a_collector_that_does_not_take_them_is_an_error(tmp_path):
    run_id = await begun(tmp_path)
    async with session(tmp_path) as s:
        with collector(status=400) as (url, _), pytest.raises(BurnishError, match="did not take"):
            send(otel_spans.run_spans(s.store.reader(), run_id), url)
        with pytest.raises(BurnishError, match="did not take"):
            send(otel_spans.run_spans(s.store.reader(), run_id), url, timeout=0.2)


def test_addresses():
    assert endpoint("http://127.0.0.1:4318") == endpoint("http://127.0.0.1:4318/") == "http://127.0.0.1:4318/v1/traces"
    assert endpoint("https://host/otlp/v1/traces") == "https://host/otlp/v1/traces"
    for wrong in ("host:4318", "ftp://host", "http://", "http://u:p@host", "http://host:x"):
        with pytest.raises(ConfigError):
            endpoint(wrong)


def test_on_the_command_line(burnish, monkeypatch):
    run_id = burnish("run", "single", "17 + 25", "--engine", "scripted", "--json").data["run_id"]
    otlp = ("runs", "export", run_id[-8:], "--format", "otlp")
    with collector() as (url, got):
        assert burnish("runs", "export", run_id).status == 0
        assert burnish(*otlp).out.count("\n") == 2
        assert got == []
        done = burnish(*otlp, "--to", url, "--json")
        assert (done.status, done.data) == (0, {"to": url, "spans": 3}), done.err
        assert len(spans(got)) == 3
    assert burnish(*otlp, "--out", "trace.jsonl", "--content").status == 0
    assert "17 + 25" in Path("trace.jsonl").read_text()
    assert burnish(*otlp, "--to", "nowhere").status == 2
    assert burnish(*otlp, "--to", url, "--out", "x.jsonl").status == 2
    assert burnish("runs", "export", run_id, "--to", url).status == 2
    monkeypatch.setitem(__import__("sys").modules, "burnish.traces.otel", None)
    missing = burnish(*otlp, "--json")
    assert (missing.status, missing.error["kind"], "burnish[otel]" in missing.error["hint"]) == (2, "missing_package", True)
