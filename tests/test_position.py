"""Where the code of a run is, as LangGraph's callbacks tell it."""

from __future__ import annotations

import logging

import pytest

import burnish
from burnish.core.errors import ReplayMismatch
from burnish.graphs.builtin import one_node
from tests.helpers import session


async def test_a_run_that_its_code_does_not_fit_is_told_of_once(tmp_path, caplog):
    """By the error alone: LangChain's own warning of it would stand before it in the terminal."""

    def graph(ask):
        async def node(state, runtime):
            if ask:
                await runtime.context.generate("one")
                raise RuntimeError("stop here")
            return {"answer": "x"}

        return one_node("changed", node)

    async with session(tmp_path) as open_session:
        with pytest.raises(burnish.BurnishError) as caught:
            await open_session.run(graph(True), "?")
        with pytest.raises(ReplayMismatch, match="no longer makes the recorded call"):
            await open_session.resume(caught.value.run_id, graph(False))
    assert caplog.text == ""


def test_warnings_of_others_are_heard(caplog):
    logging.getLogger("langchain_core.callbacks.manager").warning("Error in %s.%s callback: %s", "Other", "on_chain_end", "x")
    assert "Error in Other.on_chain_end callback" in caplog.text
