"""`burnish export`: what is stored, in the form that another program takes in. `sft`: chat examples for fine-tuning."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from .errors import OK
from .export import Batch, Every, Out, Runs, check_export, run_ids, write_lines
from .lookup import reader
from .options import AsJson, Store
from .output import count, emit, say, show

if TYPE_CHECKING:
    from ..core.ids import Json

app = typer.Typer(help="What is stored, for other programs: sft.", rich_markup_mode=None, no_args_is_help=True)

What = Literal["answers", "direct", "dialogues"]
By = Literal["auto", "grader", "verifier"]


@app.command("sft")
def sft(
    runs: Runs = None,
    batch: Batch = None,
    every: Every = False,
    what: Annotated[
        What,
        typer.Option("--what", help="Answers as they were asked for, directly below the task, or whole dialogues."),
    ] = "answers",
    by: Annotated[
        By, typer.Option("--accepted-by", help="Whose pass accepts; auto: the grader's where one judged, else the verifier's.")
    ] = "auto",
    per_task: Annotated[
        int | None, typer.Option("--per-task", min=1, metavar="N", help="Most examples of a task.", show_default="all")
    ] = None,
    max_chars: Annotated[
        int | None, typer.Option("--max-chars", min=1, metavar="N", help="Leave out what is longer.", show_default="no limit")
    ] = None,
    system: Annotated[
        str | None, typer.Option("--system", metavar="TEXT", help="Instead of the system text sent; '' for none.")
    ] = None,
    without_examples: Annotated[
        bool, typer.Option("--without-examples", help="Leave out the worked examples before the task.")
    ] = False,
    out: Out = None,
    store: Store = None,
    as_json: AsJson = False,
) -> int:
    """Export accepted answers or dialogues as chat JSON Lines: {"messages": [{role, content}], "metadata": {...}}.

    Only what a grader or verifier passed, whole, each once. The lines are data by themselves: --json changes only what is
    said of a file, {file, examples, left_out: {why: number}}.
    """
    from ..traces.sft import Count, Selecting, sft_examples

    check_export(runs, batch, every, out)
    wanted = Selecting(what=what, by=by, per_task=per_task, max_chars=max_chars, system=system, examples=not without_examples)
    counted = Count()
    with reader(store) as found:
        lines = _lines(sft_examples(found, run_ids(found, runs or (), batch), wanted, counted))
        if out is None:
            for line in lines:
                show(line)
        else:
            write_lines(out, lines)
    if out is not None and as_json:
        emit({"file": str(out.absolute()), "examples": counted.examples, "left_out": dict(counted.left_out)})
        return OK
    if out is not None:
        say(f"{out}: {count(counted.examples, 'example')}")
    for why, number in sorted(counted.left_out.items()):
        say(f"left out: {number:,} {why}")
    return OK


def _lines(examples: Iterator[dict[str, Json]]) -> Iterator[str]:
    # ASCII only, so that terminal escapes in models' text stay escaped.
    return (json.dumps(example, ensure_ascii=True, separators=(",", ":")) for example in examples)
