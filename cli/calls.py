"""`burnish runs calls`: every model call of a run, with what it cost and how it ended. Texts only where they are asked for."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from ..core.errors import ConfigError
from ..core.ids import canonical_json
from ..core.text import one_line, printable
from . import completion
from .lookup import reader
from .options import AsJson, Store
from .output import emit, indented, say, short, show, show_table

if TYPE_CHECKING:
    from ..traces.reader import Reader
    from ..traces.views import CallRow

_COLOURS = {"error": "red", "refused": "yellow", "cancelled": "yellow", "intent": "yellow"}


def calls(
    run: Annotated[
        str,
        typer.Argument(
            metavar="ID", help="A run, by some digits from the beginning or end of its id.", autocompletion=completion.runs
        ),
    ],
    failed: Annotated[
        bool, typer.Option("--failed", help="Only calls that failed, were refused, or whose result is not known.")
    ] = False,
    node: Annotated[str | None, typer.Option("--node", metavar="NAME", help="Only calls of the graph's node NAME.")] = None,
    effects: Annotated[bool, typer.Option("--effects", help="Also recorded effects that are no model calls.")] = False,
    limit: Annotated[int, typer.Option("--limit", min=1, help="Most calls to list.")] = 50,
    after: Annotated[int, typer.Option("--after", min=0, metavar="SEQ", help="Only calls behind this number.")] = 0,
    content: Annotated[bool, typer.Option("--content", help="Prompts, requests and replies, whole.")] = False,
    store: Store = None,
    as_json: AsJson = False,
) -> int:
    """List the calls of a run in the order in which they began.

    With --json, data is [{seq, position, step, role, engine, model, state, attempts, finish_reason, prompt_tokens,
    completion_tokens, seconds, error, ...}], with --content {request, prompt, text, reasoning, value} too; truncated says that
    there are more, behind the last one's seq.
    """
    with reader(store) as found:
        run_id = found.resolve(run)
        if node is not None:
            _check_node(found, run_id, node)
        rows = found.calls(run_id, limit=limit + 1, after=after, node=node, failed=failed, effects=effects)
        more, rows = len(rows) > limit, rows[:limit]
        if as_json:
            emit([{**asdict(row), **(content_of(found, row) if content else {})} for row in rows], truncated=more)
            return 0
        show_table(
            ["SEQ", "STATE", "FINISH", "IN", "CACHED", "OUT", "SECONDS", "ROLE", "ENGINE", "CALL", "REPLY OR ERROR"],
            [_cells(row) for row in rows],
            _COLOURS,
        )
        for row in rows if content else ():
            _print_content(found, row)
    if more:
        say(f"there are more; the next ones: burnish runs calls {short(run_id)} --after {rows[-1].seq}")
    return 0


def content_of(reader: Reader, call: CallRow) -> dict[str, Any]:
    """What a call asked for and what came of it, whole."""
    hashes = (call.request_sha, call.prompt_sha, call.text_sha, call.reasoning_sha, call.value_sha)
    texts = reader.texts([sha for sha in hashes if sha is not None])
    request, prompt, text, reasoning, value = (texts.get(sha or "") for sha in hashes)
    return {
        "request": json.loads(request or "null"),
        "prompt": json.loads(prompt or "null"),
        "text": text if text or not call.finish_reason else "",
        "reasoning": reasoning or "",
        "value": json.loads(value or "null"),
    }


def _check_node(reader: Reader, run_id: str, node: str) -> None:
    names = sorted({step.node for step in reader.steps(run_id)})
    if node not in names:
        shown = ", ".join(one_line(name, 40) for name in names[:20]) or "it has no steps"
        raise ConfigError(f"the run {short(run_id)} has no node {one_line(node, 40)!r}", hint=f"its nodes: {shown}")


def _cells(call: CallRow) -> list[str]:
    model = bool(call.engine)
    tokens = [f"{n:,}" if model else "-" for n in (call.prompt_tokens, call.cached_tokens, call.completion_tokens)]
    state = call.state if call.attempts < 2 else f"{call.state} x{call.attempts}"
    told = f"{call.error_code}: {call.error}" if call.error_code else call.preview or ""
    seconds = "-" if call.seconds is None else f"{call.seconds:.2f}"
    who = [call.role or (call.kind if not model else "-"), call.engine or "-", call.position.lstrip("/")]
    return [str(call.seq), state, call.finish_reason or "-", *tokens, seconds, *who, told]


def _print_content(reader: Reader, call: CallRow) -> None:
    found = content_of(reader, call)
    show()
    show(f"call {call.seq} ({call.state}), at {printable(call.position)}")
    show(f"  request: {one_line(canonical_json(found['request']), 2000)}")
    for message in _messages(found["prompt"]):
        show(f"  {one_line(message[0], 40)}:")
        show(indented(message[1]))
    for name in ("reasoning", "text"):
        if found[name]:
            show(f"  {name if name == 'reasoning' else 'reply'}:")
            show(indented(found[name]))
    if found["value"] is not None:
        show(f"  value: {one_line(canonical_json(found['value']), 2000)}")


def _messages(prompt: Any) -> list[tuple[str, str]]:
    """Role and text of each part of a stored prompt; what is no text as JSON."""
    if prompt is None:
        return []
    told: list[tuple[str, str]] = []
    for message in cast("list[dict[str, Any]]", prompt.get("messages") or ()):
        said = message["content"]
        told.append((message["role"], said if isinstance(said, str) else canonical_json(said)))
    rest = {name: prompt[name] for name in ("token_ids", "prefix_ids") if name in prompt}
    told += [(name.replace("_", " "), canonical_json(ids)) for name, ids in rest.items()]
    return [*told, ("prefix", prompt["prefix_text"])] if "prefix_text" in prompt else told
