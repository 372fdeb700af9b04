"""`burnish runs export --format otlp`: runs as OpenTelemetry spans, to a collector or as lines of OTLP JSON."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ..core.errors import ConfigError
from .output import count, emit, say, show

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

    from ..traces.reader import Reader


def export_otlp(reader: Reader, runs: Iterable[str], *, to: str | None, out: Path | None, content: bool, as_json: bool) -> int:
    """Export runs, by their whole ids. Returns the exit status.

    Raises:
        ConfigError: OpenTelemetry is not installed, or the address is none.
        BurnishError: the collector did not take the spans.
    """
    try:
        from ..traces.otel import json_lines, send
    except ModuleNotFoundError as e:
        what = f"OpenTelemetry is not installed: {e}"
        raise ConfigError(what, hint="pip install 'burnish[otel]'", code="missing_package") from None
    spans = _spans(reader, runs, content=content)
    if to is not None:
        sent = send(spans, to)
        if as_json:
            emit({"to": to, "spans": sent})
        else:
            say(f"{to}: {count(sent, 'span')}")
    elif out is not None:
        from .export import write_lines

        lines = write_lines(out, json_lines(spans))
        if as_json:
            emit({"file": str(out.absolute()), "lines": lines, "bytes": out.stat().st_size})
        else:
            say(f"{out}: {count(lines, 'line')}")
    else:
        for line in json_lines(spans):
            show(line)
    return 0


def _spans(reader: Reader, runs: Iterable[str], *, content: bool) -> Iterator[list[ReadableSpan]]:
    from ..traces.otel_spans import run_spans

    for run_id in runs:
        yield from run_spans(reader, run_id, content=content)
