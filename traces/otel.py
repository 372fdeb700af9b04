"""Spans to a collector by OTLP over HTTP, or to lines of OTLP JSON, as the Collector's file exporter writes and reads them."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator
from typing import Any, cast
from urllib.parse import urlsplit

from google.protobuf.json_format import MessageToDict
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult

from ..core.errors import BurnishError, ConfigError

PATH = "/v1/traces"
_IDS = ("traceId", "spanId", "parentSpanId")


def send(pages: Iterable[list[ReadableSpan]], to: str, *, timeout: float = 10.0) -> int:
    """Send spans to a collector; how many they were. Headers are those of `OTEL_EXPORTER_OTLP_HEADERS`.

    Args:
        pages: the spans, a request for each page.
        to: the collector's URL; without a path it is `/v1/traces`.
        timeout: seconds for each request, with what is tried again.

    Raises:
        ConfigError: the URL is none.
        BurnishError: the collector cannot be reached, or refused the spans (`otlp`).
    """
    exporter = OTLPSpanExporter(endpoint=endpoint(to), timeout=timeout)
    sent = 0
    try:
        for page in pages:
            if page and exporter.export(page) is not SpanExportResult.SUCCESS:
                hint = "is it a collector's OTLP/HTTP address, such as http://127.0.0.1:4318?"
                raise BurnishError(f"the collector at {endpoint(to)} did not take the spans", code="otlp", hint=hint)
            sent += len(page)
    finally:
        exporter.shutdown()
    return sent


def json_lines(pages: Iterable[list[ReadableSpan]]) -> Iterator[str]:
    """Spans as OTLP JSON: a line for each page, ids in hexadecimal digits."""
    for page in pages:
        if page:
            value = MessageToDict(encode_spans(page), use_integers_for_enums=True)
            for resource in value["resourceSpans"]:
                for scope in resource["scopeSpans"]:
                    for span in cast("list[dict[str, Any]]", scope["spans"]):
                        span.update({name: base64.b64decode(span[name]).hex() for name in _IDS if name in span})
            yield json.dumps(value, separators=(",", ":"))


def endpoint(to: str) -> str:
    """The address that spans are sent to.

    Raises:
        ConfigError: it is no URL of HTTP.
    """
    try:
        parts = urlsplit(to)
        right = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        right, parts = False, urlsplit("")
    if not right or parts.username or parts.password:
        what = "the collector's address holds a password" if parts.password or parts.username else f"{to!r} is no address"
        raise ConfigError(what, hint="as in http://127.0.0.1:4318; a key goes into OTEL_EXPORTER_OTLP_HEADERS")
    return to if parts.path.strip("/") else f"{parts.scheme}://{parts.netloc}{PATH}"
