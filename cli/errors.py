"""The one place where an error becomes words and an exit status.

| status | meaning |
|---|---|
| 0 | done; a run that was judged was verified |
| 1 | failed |
| 2 | wrong usage or configuration |
| 3 | finished, but the answer is not verified although a verifier judged |
| 4 | the budget was spent before there was an answer |
| 5 | no engine |
| 6 | the store refuses |
| 7 | another process has the run |
| 8 | waits for a person's answer |
| 130 | interrupted |
"""

from __future__ import annotations

import os
import re
import sys
import traceback
from collections.abc import Sequence

from typer import TyperException

from ..core.errors import BurnishError
from ..core.text import one_line, printable
from .output import emit_error, say

OK, FAILURE, USAGE, UNVERIFIED, BUDGET, FENCED, WAITING, INTERRUPTED = 0, 1, 2, 3, 4, 7, 8, 130


def wants_json(arguments: Sequence[str]) -> bool:
    """Whether a command line asks for JSON, known even where it cannot be parsed."""
    before = list(arguments)[: list(arguments).index("--")] if "--" in arguments else arguments
    return "--json" in before or os.environ.get("BURNISH_JSON", "").lower() in ("1", "true", "yes", "on")


def report(error: BaseException, *, as_json: bool, arguments: Sequence[str] = ()) -> int:
    """Tell the user of an error that a command line ended with. Returns the exit status."""
    match error:
        case BurnishError():
            found = {"kind": error.code, "message": error.message, "hint": error.hint}
            if run_id := getattr(error, "run_id", None):
                found["run_id"] = run_id
            status = error.exit_code
        case TyperException():
            message = _without_pydantic(error.format_message().rstrip("."))
            found = {"kind": "usage", "message": message[:1].lower() + message[1:], "hint": _help_of(error, arguments)}
            status = USAGE
        case KeyboardInterrupt():
            found = {"kind": "interrupted", "message": "interrupted", "hint": ""}
            status = INTERRUPTED
        case _:
            message = f"{type(error).__name__}: {one_line(str(error), 300)}"
            found = {"kind": "internal", "message": message, "hint": "BURNISH_DEBUG=1 shows where it comes from"}
            status = FAILURE
    if os.environ.get("BURNISH_DEBUG") == "1":
        traceback.print_exception(error, file=sys.stderr)
    if as_json:
        emit_error(found)
    else:
        say(("" if status == WAITING else "error: ") + printable(found["message"]))
        if found["hint"]:
            say(f"hint: {printable(found['hint'])}")
    return status


def _without_pydantic(message: str) -> str:
    """What a value should be, without how the library that checks it tells of its work."""
    message = re.sub(r"(?<=: )Value error, |, unable to (?:parse|interpret) .*$", "", message)
    return message.replace(": Input should be ", ": it should be ")


def _help_of(error: TyperException, arguments: Sequence[str]) -> str:
    context = getattr(error, "ctx", None)
    return f"{context.command_path if context else _command_of(arguments)} --help"


def _command_of(arguments: Sequence[str]) -> str:
    """The command that a line names: an error of one of its options may not say to which it belongs."""
    from .commands import COMMANDS, load

    words = iter(a for a in arguments if not a.startswith("-"))
    name = next(words, "")
    if name not in COMMANDS:
        return "burnish"
    sub = next(words, "")
    return f"burnish {name} {sub}" if sub in getattr(load(name), "commands", ()) else f"burnish {name}"
