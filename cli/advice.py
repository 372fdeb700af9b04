"""What a stored audit of the verifier says against a run, before it begins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ..core.errors import BurnishError
from ..core.ids import Json
from ..core.task import Task
from .output import say

if TYPE_CHECKING:
    from ..traces.reader import Reader


def advise(reader: Reader, graph: str, settings: Mapping[str, Json], tasks: Sequence[Task]) -> None:
    """Say, on stderr, if `best_of_n` asks for more attempts than an audit of its verifier finds worth their risk.

    Of other graphs an audit of independent samples says nothing. What cannot be told is not: a run never fails over advice.
    """
    from ..compare.outlook import advice, audit_for
    from ..graphs.registry import BUILTIN, check_settings

    if graph != "best_of_n":
        return
    try:
        checked = check_settings(BUILTIN[graph], settings).model_dump()
        audit = audit_for(reader, tasks, checked["verifier"])
        for line in advice(audit, checked["n"]) if audit else ():
            say(f"note: {line}")
    except BurnishError:
        return


def advise_run(store: str | None, graph: str, settings: Mapping[str, Json], tasks: Sequence[Task]) -> None:
    """`advise` for a run on a store that may not be there yet."""
    from ..traces.store import Store

    if graph != "best_of_n":
        return
    try:
        reader = Store.open_reader(store)
    except BurnishError:
        return
    try:
        advise(reader, graph, settings, tasks)
    finally:
        reader.close()
