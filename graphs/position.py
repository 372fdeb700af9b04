"""Where in a LangGraph run the calling code is.

LangGraph's step and path repeat inside subgraphs and its task ids change from run to run. But each node's namespace
is the chain of the tasks that it runs within, and each task's step and path are told when it starts; together they
name a node the same way every time: `plan@1/refine@3`. Parallel tasks of one node carry their index (`draft@2.0`),
repeated subgraph calls within one node their number (`#1`).
"""

from __future__ import annotations

import logging
from typing import Any
from uuid import UUID

from langchain_core.callbacks import AsyncCallbackHandler
from langchain_core.runnables.config import var_child_runnable_config
from langgraph.errors import GraphInterrupt

from ..core.errors import ReplayMismatch, Waiting
from ..core.records import StepEnd, StepStart
from ..core.run import Run
from ..core.text import one_line

_NAMESPACE = "langgraph_checkpoint_ns"


class Steps(AsyncCallbackHandler):
    """Listens to one graph run: keeps where each node is and records its beginning and end."""

    run_inline = True
    raise_error = True

    def __init__(self) -> None:
        self.run: Run | None = None
        """The run that is listened to; set before the graph starts."""
        self.interrupted: dict[str, str] = {}
        """Positions of the nodes that called LangGraph's `interrupt()`, by the interrupts' ids."""
        self._nodes: dict[str, tuple[str, ...]] = {}
        self._open: dict[UUID, str] = {}
        self._started: set[str] = set()

    def locate(self) -> tuple[str, ...]:
        """Names of the nodes that the calling code runs within, outermost first; empty outside any."""
        config = var_child_runnable_config.get()
        if config is None:
            return ()
        return self._nodes.get((config.get("metadata") or {}).get(_NAMESPACE, ""), ())

    async def on_chain_start(
        self,
        serialized: dict[str, Any],
        inputs: Any,
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        tags: list[str] | None = None,
        metadata: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """A node begins, if the tags say that this is one."""
        if self.run is None or metadata is None or not any(t.startswith("graph:step:") for t in tags or ()):
            return
        namespace = str(metadata.get(_NAMESPACE, ""))
        nodes = self._within(namespace, metadata)
        self._nodes[namespace] = nodes
        position = "/".join(("", *nodes))
        if position in self._started:
            self.run.claims.forget(position)
        self._started.add(position)
        self._open[run_id] = position
        parent = "/".join(("", *nodes[:-1])) if len(nodes) > 1 else ""
        self.run.journal.queue(StepStart(position=position, node=str(metadata["langgraph_node"]), parent=parent))

    async def on_chain_end(self, outputs: Any, *, run_id: UUID, **kwargs: Any) -> None:
        """A node is through."""
        position = self._open.pop(run_id, None)
        if self.run is None or position is None:
            return
        if "#" not in position:
            self._all_asked_for(self.run, position)
        self.run.journal.queue(StepEnd(position=position, status="done"))

    async def on_chain_error(self, error: BaseException, *, run_id: UUID, **kwargs: Any) -> None:
        """A node raised."""
        position = self._open.pop(run_id, None)
        if self.run is None or position is None or isinstance(error, ReplayMismatch | Waiting):
            return
        if isinstance(error, GraphInterrupt):
            for interrupt in error.args[0] if error.args else ():
                self.interrupted.setdefault(interrupt.id, position)
            return
        code = getattr(error, "code", type(error).__name__)
        end = StepEnd(position=position, status="failed", error_code=str(code), error=one_line(str(error), 500))
        self.run.journal.queue(end)

    def _within(self, namespace: str, metadata: dict[str, Any]) -> tuple[str, ...]:
        path = metadata.get("langgraph_path") or ()
        index = f".{path[1]}" if path and path[0] == "__pregel_push" else ""
        own = f"{metadata['langgraph_node']}@{metadata['langgraph_step']}{index}"
        outer, _, _ = namespace.rpartition("|")
        if not outer:
            return (own,)
        known = self._nodes.get(outer)
        if known is None:
            holder, _, number = outer.rpartition("|")
            known = (*self._nodes.get(holder, ()), f"#{number}")
        return (*known, own)

    def _all_asked_for(self, run: Run, position: str) -> None:
        left = run.journal.unclaimed(position, run.claims.has)
        if left is not None:
            raise ReplayMismatch(
                f"the node {position} no longer makes the recorded call {left}",
                position=left,
                hint="code or settings changed since; start a new run",
            )


def _told_elsewhere(record: logging.LogRecord) -> bool:
    """Leaves out LangChain's warning of an error that is raised in `Steps`: it ends the run, which tells of it."""
    return not (isinstance(record.args, tuple) and record.args[:1] == (Steps.__name__,))


logging.getLogger("langchain_core.callbacks.manager").addFilter(_told_elsewhere)
