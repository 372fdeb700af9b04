"""Taking a run's lease, and giving it back. `leases` says when one may be taken."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence

from ..core.errors import Fenced, StoreError
from ..core.runs import RunStatus
from .commit import Transaction
from .leases import is_live, pid_of, this_process
from .run_state import RunState
from .writer import Writer


def take(
    tx: Transaction, writer: Writer, run_id: str, unless: Collection[RunStatus], before: Sequence[RunState] = ()
) -> RunState:
    """Take a run's lease, within a transaction. `before` is what earlier attempts at it took, whose commits may have failed.

    Raises:
        StoreError: there is no such run, or its status is one of `unless`.
        Fenced: its owner still lives.
    """
    found = tx.row("run_lock", (run_id,))
    if found is None:
        raise StoreError(f"there is no run {run_id}", hint="look with: burnish runs list", code="unknown_run")
    owner, epoch, heartbeat_ns, elapsed_ns, started_ns, status = found
    me, now = this_process(), time.time_ns()
    mine = writer.held.get(run_id)
    if owner == me and mine and mine.epoch == epoch:
        if mine in before:
            return mine  # That commit was durable after all.
        raise Fenced(f"the run {run_id} is already running in this process", hint="wait for it")
    if owner != me and is_live(owner, heartbeat_ns, now):
        raise Fenced(f"the run {run_id} is running in {pid_of(owner)}", hint="wait for it, or stop that process")
    if status in unless:
        raise StoreError(f"the run {run_id} is {status}", hint=f"look at it: burnish runs show {run_id[-8:]}", code="run_status")
    tx.run("run_take", (me, epoch + 1, now, started_ns or now, run_id))
    writer.held[run_id] = RunState(run_id, epoch + 1, elapsed_ns)
    return writer.held[run_id]


def give_back(tx: Transaction, states: Sequence[RunState]) -> None:
    """Give leases back, within a transaction."""
    tx.run_many("release", [(s.elapsed_ns, time.time_ns(), s.run_id, s.epoch) for s in states])


def let_go(writer: Writer, states: Sequence[RunState]) -> None:
    """Have the writer forget leases that were given back, or ended with their runs, so that it renews them no more."""
    for state in states:
        if writer.held.get(state.run_id) is state:
            del writer.held[state.run_id]
