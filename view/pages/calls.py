"""The calls of a run, a page at a time, and one call with what it asked for beside what came of it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from ...core.ids import canonical_json
from ...traces import browse
from ..render import number_of, page, reader_of, whole
from ..words import is_running

if TYPE_CHECKING:
    from ...traces.reader import Reader
    from ...traces.views import CallRow

ROWS = 100
_IDS_SHOWN = 400
"""Token ids of a prompt that are shown."""
_RETRIEVE = "retrieve"
"""The kind of effect that finds passages."""


def calls(request: Request) -> Response:
    """Answer `/runs/ID/calls`."""
    reader, query = reader_of(request), request.query_params
    run = reader.run(request.path_params["run"])
    after, node = number_of(request, "after"), query.get("node", "")
    filters: dict[str, Any] = {"node": node or None, "failed": query.get("failed") == "1", "effects": query.get("models") != "1"}
    rows = reader.calls(run.id, after=after, limit=ROWS + 1, **filters)
    return page(
        request,
        "calls.html",
        live=is_running(run) and len(rows) <= ROWS,
        run=run,
        calls=rows[:ROWS],
        behind=rows[ROWS - 1].seq if len(rows) > ROWS else None,
        after=after,
        total=browse.counts(reader, run.id).calls,
        query={name: value for name, value in query.items() if name in ("node", "failed", "models")},
        **filters,
    )


def call(request: Request) -> Response:
    """Answer `/runs/ID/calls/SEQ`; a call's id will do as well."""
    reader = reader_of(request)
    run = reader.run(request.path_params["run"])
    asked: str = request.path_params["call"]
    seq = browse.seqs(reader, run.id, [asked]).get(asked) if len(asked) == 32 else whole(asked, "the call's number")
    found = browse.call_at(reader, run.id, seq) if seq is not None else None
    if found is None:
        raise HTTPException(404)
    before, behind = browse.neighbours(reader, run.id, found.seq)
    return page(
        request,
        "call.html",
        live=found.state == "intent" and is_running(run),
        run=run,
        call=found,
        before=before,
        behind=behind,
        candidates=browse.with_ids(reader, run.id, browse.made_by(reader, run.id, found.id)),
        **content_of(reader, found),
    )


def content_of(reader: Reader, call: CallRow) -> dict[str, Any]:
    """What a call asked for and what came of it."""
    hashes = (call.request_sha, call.prompt_sha, call.text_sha, call.reasoning_sha, call.value_sha)
    texts = reader.texts([sha for sha in hashes if sha is not None])
    request, prompt, text, reasoning, value = (texts.get(sha or "") for sha in hashes)
    asked, came = json.loads(request or "null"), json.loads(value or "null")
    known = cast("dict[str, Any]", asked) if isinstance(asked, dict) else {}
    return {
        "recorded": asked,
        "sampling": known.get("sampling"),
        "messages": messages_of(json.loads(prompt or "null")),
        "text": text or "",
        "reasoning": reasoning or "",
        "value": came,
        "passages": passages_of(came) if call.kind == _RETRIEVE else [],
    }


def messages_of(prompt: Any) -> list[tuple[str, str]]:
    """Who says what in a stored prompt; what is no text as JSON, of token ids the first."""
    if not isinstance(prompt, Mapping):
        return []
    known = cast("Mapping[str, Any]", prompt)
    said: list[tuple[str, str]] = []
    for message in cast("Sequence[Mapping[str, Any]]", known.get("messages") or ()):
        content = message["content"]
        said.append((str(message["role"]), content if isinstance(content, str) else canonical_json(content)))
    for name in ("token_ids", "prefix_ids"):
        if ids := cast("Sequence[int]", known.get(name) or ()):
            more = f" … and {len(ids) - _IDS_SHOWN:,} more" if len(ids) > _IDS_SHOWN else ""
            said.append((name.replace("_", " "), " ".join(map(str, ids[:_IDS_SHOWN])) + more))
    if prefix := known.get("prefix_text"):
        said.append(("the answer begins with", str(prefix)))
    return said


def passages_of(value: Any) -> list[dict[str, Any]]:
    """What a retrieval found: rank, id, score, title and text of each passage."""
    if not isinstance(value, Mapping):
        return []
    known = cast("Mapping[str, Any]", value)
    documents = cast("Sequence[Mapping[str, Any]]", known.get("documents") or ())
    texts = cast("Sequence[Sequence[str]]", known.get("texts") or ())
    return [{**document, "title": title, "text": text} for document, (title, text) in zip(documents, texts, strict=False)]
