"""Stored runs as pandas data frames, for looking at many of them at once.

Columns are those of the tables, with batch, task, graph and outcome of the run beside each row; hashes are left out, and the
texts behind them come where they are asked for. Times are pandas' own, in UTC. pandas is no dependency: it is imported
here, when a frame is asked for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, get_args

from sqlalchemy import Select, false, func, select

from ..core.errors import ConfigError
from . import schema as s
from .reader import Reader

if TYPE_CHECKING:
    from pandas import DataFrame

What = Literal["runs", "calls", "candidates", "verdicts"]

_OF_RUN = ("batch_id", "task_id", "graph")
_TEXTS = ("text_sha", "reasoning_sha", "feedback_sha", "answer_sha")
_IDS_AT_ONCE = 500
_TABLES: Mapping[What, str] = {"runs": "run", "calls": "call", "candidates": "candidate", "verdicts": "verdict"}
_LEFT_OUT = ("owner", "lease_epoch", "heartbeat_ns")


def frame(
    what: What = "candidates",
    *,
    store: str | None = None,
    runs: Sequence[str] | None = None,
    batch: str | None = None,
    texts: bool = False,
) -> DataFrame:
    """A row for each run, call, candidate or verdict, of the newest run first and within a run in the order of events.

    Args:
        what: the kind of row.
        store: the database's URL; None for the one that `BURNISH_STORE` names, else `burnish.db` in the current folder.
        runs: ids, or abbreviations of them, of the runs to take; None for all.
        batch: the whole id of the batch whose runs to take.
        texts: whether whole texts come with candidates and calls (`text`, `reasoning`), verdicts (`feedback`) and runs
            (`answer`), in place of their beginnings.

    Raises:
        ConfigError: pandas is not installed, `what` is unknown, or there is no such run.
        StoreError: the database cannot be read.
    """
    try:
        import pandas as pd
    except ModuleNotFoundError:
        raise ConfigError("data frames need pandas", hint="pip install 'burnish[frames]'", code="missing_package") from None
    if what not in get_args(What):
        raise ConfigError(f"there is no frame of {what!r}", hint="one of: " + ", ".join(get_args(What)))
    from .store import Store

    reader = Store.open_reader(store)
    try:
        query = _query(what, batch)
        if runs is None:
            rows = reader.rows(query)
        else:
            ids = list(dict.fromkeys(reader.resolve(run) for run in runs))
            pages = [ids[at : at + _IDS_AT_ONCE] for at in range(0, len(ids), _IDS_AT_ONCE)]
            rows = [row for page in pages for row in reader.rows(query.where(s.run.c.id.in_(page)))]
        shown = _with_texts(reader, rows) if texts else rows
    finally:
        reader.close()
    columns = [c.name for c in query.selected_columns]
    names = [name for name in columns if not name.endswith("_sha")]
    if texts:
        names = list(dict.fromkeys([*names, *(n.removesuffix("_sha") for n in columns if n in _TEXTS)]))
    # Through whole numbers that may be missing: floats would lose nanoseconds.
    cells = {name: [row[name] for row in shown] for name in names}
    times = {name for name in names if name.endswith("_ns") and name != "elapsed_ns"}
    series = {n: pd.to_datetime(pd.Series(v, dtype="Int64"), unit="ns", utc=True) if n in times else v for n, v in cells.items()}
    return pd.DataFrame(series).rename(columns={name: name.removesuffix("_ns") for name in times})


def _query(what: What, batch: str | None) -> Select[*tuple[Any, ...]]:
    table, r = s.metadata.tables[_TABLES[what]], s.run.c
    own = [c for c in table.c if c.name not in _LEFT_OUT]
    if what == "runs":
        query = select(*own).order_by(r.id.desc())
    else:
        beside = [*(r[name] for name in _OF_RUN), r.outcome.label("run_outcome")]
        if what == "candidates":
            beside.append(func.coalesce(table.c.id == r.candidate_id, false()).label("chosen"))
        query = select(*own, *beside).join(s.run, r.id == table.c.run_id).order_by(r.id.desc(), table.c.seq)
    return query.where(r.batch_id == batch) if batch is not None else query


def _with_texts(reader: Reader, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows with whole texts under the names of their hashes."""
    found: list[dict[str, Any]] = []
    for at in range(0, len(rows), _IDS_AT_ONCE):
        page = rows[at : at + _IDS_AT_ONCE]
        kinds = [name for name in _TEXTS if name in page[0]]
        texts = reader.texts({row[name] for row in page for name in kinds if row[name] is not None})
        for row in page:
            whole = {name.removesuffix("_sha"): texts.get(row[name] or "") for name in kinds}
            # Where there is no hash, the text stands in the clear, or there is none.
            found.append({**row, **{name: text if text is not None else row.get(name) for name, text in whole.items()}})
    return found
