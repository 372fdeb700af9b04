"""`burnish runs answer`: what a person says to a question that a run waits with."""

from __future__ import annotations

import asyncio
import os
import shlex
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..core.errors import Cancelled, ConfigError
from ..core.human import Question, Reply
from ..core.ids import Json
from ..core.text import one_line, printable
from . import completion
from .lookup import reader
from .options import AsJson, Concurrency, Store
from .output import count, emit, indented, say, short
from .project import load_project

if TYPE_CHECKING:
    from ..traces.questions import Asked


@dataclass(frozen=True, kw_only=True)
class Words:
    """What the command line says; none of it where the person is to be asked."""

    approve: bool
    reject: bool
    choose: str | None
    text: str | None
    by: str

    def reply(self, question: Question) -> Reply | None:
        """The reply that it makes to a question; None if nothing was said.

        Raises:
            ConfigError: it does not answer this kind of question.
        """
        flags = [name for name in ("approve", "reject", "choose") if getattr(self, name) not in (False, None)]
        if not flags and self.text is None:
            return None
        fits = {"approve": ["approve", "reject"], "choose": ["choose"]}.get(question.kind, [])
        remark = question.kind == "approve"
        if len(flags) > 1 or any(f not in fits for f in flags) or (fits and not flags) or (self.text and fits and not remark):
            raise ConfigError("that does not answer the question", hint=how(question))
        text = sys.stdin.read() if self.text == "-" else self.text
        return question.replied(Reply(approved=not self.reject, text=self.choose or text or "", by=self.by))


def answer(
    run: Annotated[
        str, typer.Argument(metavar="ID", help="The run, by some digits of its id.", autocompletion=completion.waiting_runs)
    ],
    approve: Annotated[bool, typer.Option("--approve", help="Yes.")] = False,
    reject: Annotated[bool, typer.Option("--reject", help="No.")] = False,
    choose: Annotated[str | None, typer.Option("--choose", metavar="OPTION", help="One of the options.")] = None,
    text: Annotated[
        str | None, typer.Option("--text", metavar="TEXT", help="The text, or a remark to a yes or no; - reads stdin.")
    ] = None,
    question: Annotated[
        int | None, typer.Option("--question", metavar="N", help="Which question, where there are several.")
    ] = None,
    by: Annotated[
        str | None, typer.Option("--by", metavar="NAME", help="Who answers.", show_default="the user's name on this machine")
    ] = None,
    later: Annotated[bool, typer.Option("--later", help="Only store the answer; go on with burnish runs resume.")] = False,
    graph: Annotated[
        str | None, typer.Option("--graph", metavar="TARGET", help="The graph, where it was given as an object.")
    ] = None,
    concurrency: Concurrency = None,
    store: Store = None,
    as_json: AsJson = False,
) -> int:
    """Answer what a run asks, and go on with it once nothing is left to answer. Without an answer, asks for it on a terminal.

    Output and exit status are those of burnish runs resume. If the run does not go on: with --json, data is {run_id, left},
    and the exit status is 8 while questions are left.
    """
    words = Words(approve=approve, reject=reject, choose=choose, text=text, by=_name() if by is None else by)
    from ..traces.questions import open_questions

    with reader(store) as found:
        run_id, status = found.resolve(run), found.run(run).status
        listed = open_questions(found, run_id)
    if not listed:
        over = status in ("done", "failed")
        hint = "burnish runs list --status waiting" if over else f"burnish runs resume {short(run_id)}"
        raise ConfigError(f"the run {short(run_id)} asks nothing", hint=hint)
    left, url = len(listed), store or load_project().store
    for number, reply in _replies(listed, words, question):  # Each is stored before the next is asked for.
        left = asyncio.run(_store(url, run_id, number, reply))
    if left or later:
        return _stored(run_id, left, as_json=as_json)
    from .resume import Wanted, resume_runs
    from .stored_engines import AS_STORED

    wanted = Wanted(run=run_id, batch=None, every=False, graph=graph, store=store, concurrency=concurrency, engines=AS_STORED)
    return resume_runs(wanted, as_json=as_json)


def how(question: Question) -> str:
    """The flags that answer a question."""
    match question.kind:
        case "approve":
            return "--approve or --reject, with --text for a remark"
        case "choose":
            return "--choose with one of: " + ", ".join(one_line(option, 40) for option in question.options)
        case _:
            return "--text, or --text - for stdin"


def question_lines(asked: Asked) -> list[str]:
    """A question in words, safe to print."""
    question = asked.question
    lines = [f"question {asked.number}: {printable(question.text)}"]
    if question.about:
        lines.append(indented(question.about))
    return [*lines, *(f"  - {one_line(option, 200)}" for option in question.options)]


def _replies(listed: list[Asked], words: Words, number: int | None) -> Iterator[tuple[int, Reply]]:
    """Which questions are answered how: one by flags, or one after another by who sits at the terminal."""
    chosen = [asked for asked in listed if number is None or asked.number == number]
    if not chosen:
        hint = f"open: {', '.join(str(asked.number) for asked in listed)}"
        raise ConfigError(f"the run has no open question {number}", hint=hint)
    said = words.reply(chosen[0].question)
    if said is not None:
        if len(chosen) > 1:
            numbers = ", ".join(str(asked.number) for asked in chosen)
            raise ConfigError(f"the run asks {count(len(chosen), 'question')}", hint=f"say which: --question, one of {numbers}")
        return iter([(chosen[0].number, said)])
    if not sys.stdin.isatty():
        for asked in chosen:
            say("\n".join(question_lines(asked)))
        which = f"--question {chosen[0].number}, and " if len(chosen) > 1 else ""
        raise ConfigError("no answer was given", hint=which + how(chosen[0].question))
    return ((asked.number, _asked(asked, words.by)) for asked in chosen)


def _asked(asked: Asked, by: str) -> Reply:
    """Ask at the terminal until the answer fits."""
    say("\n".join(question_lines(asked)))
    question = asked.question
    if question.kind == "edit":
        return question.replied(Reply(text=_edited(question.about), by=by))
    while True:
        line = _line({"approve": "yes or no> ", "choose": "one of them> "}.get(question.kind, "> "))
        word, _, remark = line.partition(" ")
        try:
            if question.kind != "approve":
                return question.replied(Reply(text=line, by=by))
            if word.lower() in ("y", "yes", "n", "no"):
                return Reply(approved=word.lower().startswith("y"), text=remark.strip(), by=by)
        except ConfigError as e:
            say(f"{printable(e.message)}: {printable(e.hint)}")


def _line(prompt: str) -> str:
    print(prompt, end="", file=sys.stderr, flush=True)
    line = sys.stdin.readline()
    if not line:
        raise Cancelled("nothing was answered", hint="the run still waits")
    return line.strip()


def _edited(text: str) -> str:
    """The text as it comes out of the user's editor."""
    import subprocess
    import tempfile

    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "answer.txt")
        path.write_text(text, encoding="utf-8", errors="backslashreplace")
        try:
            status = subprocess.run([*shlex.split(editor), str(path)], check=False).returncode
        except OSError as e:
            raise ConfigError(f"the editor {editor} does not start: {e.strerror}", hint="set EDITOR, or give --text") from None
        if status:
            raise Cancelled(f"the editor ended with status {status}", hint="the run still waits")
        return path.read_text(encoding="utf-8")


async def _store(url: str | None, run_id: str, number: int, reply: Reply) -> int:
    from ..traces.questions import answer as store_answer
    from ..traces.store import Store

    opened = await Store.open(url)
    try:
        return await store_answer(opened, run_id, number, reply)
    finally:
        await opened.close()


def _stored(run_id: str, left: int, *, as_json: bool) -> int:
    from ..core.errors import Waiting

    data: dict[str, Json] = {"run_id": run_id, "left": left}
    if as_json:
        emit(data)
    elif left:
        say(f"stored; {count(left, 'question')} left: burnish runs answer {short(run_id)}")
    else:
        say(f"stored; go on with it: burnish runs resume {short(run_id)}")
    return Waiting.exit_code if left else 0


def _name() -> str:
    import getpass

    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return ""
