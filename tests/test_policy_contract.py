"""What a policy asks for in vain is an error that names it, not a search that quietly comes to nothing."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pytest

from burnish import ConfigError, Context, Expansion, Moves, Scored, Selection, TaskView
from burnish.core.policy import Probe
from burnish.graphs.builtin import one_node
from burnish.graphs.nodes import task_verifier
from tests.helpers import searching, session


@dataclass(frozen=True)
class Asks:
    """Draws one sample, then makes one more move, and chooses."""

    then: Moves
    choice: str = "first"
    name: str = "asks"

    def start(self, task: TaskView, seed: int) -> tuple[int, tuple[Scored, ...]]:
        return 0, ()

    def ask(self, state: Any) -> tuple[Any, Moves]:
        asked, told = state
        if asked == 0:
            return (1, told), Moves(expansions=(Expansion(id="first"),))
        return ((2, told), self.then) if asked == 1 and told else (state, Moves())

    def tell(self, state: Any, result: Scored) -> Any:
        return state[0], (*state[1], result)

    def finish(self, state: Any, must: bool) -> Selection | None:
        return Selection(id=self.choice, reason="test") if must or len(state[1]) == 2 else None


@pytest.mark.parametrize(
    ("policy", "says"),
    [
        (
            Asks(Moves(expansions=(Expansion(id="b", kind="refine", parents=("zz",)),))),
            "goes on from .zz., which is no",
        ),
        (Asks(Moves(probes=(Probe(id="p", target="zz"),))), "goes on from .zz., which is no"),
        (Asks(Moves(probes=(Probe(id="p", target=""),))), "goes on from .., which is no"),
        (Asks(Moves(expansions=(replace(Expansion(id="b"), kind="refin"),))), "asks for a 'refin' candidate"),
        (Asks(Moves(), choice="zz"), "chose 'zz', which is no candidate"),
    ],
)
async def test_what_cannot_be_is_refused_by_name(tmp_path, policy, says):
    async with session(tmp_path) as open_session:
        with pytest.raises(ConfigError, match=says):
            await open_session.run(searching(policy), "What is 17 + 25?")


async def test_a_candidate_that_turns_out_wrong_gives_way_to_one_of_which_nothing_is_known(tmp_path):
    """When the budget ends a run outside of a search, what is known to be wrong is not what it returns."""

    async def judge_both(state, runtime):
        ctx: Context = runtime.context
        made = [await ctx.add(await ctx.generate(text, key=text)) for text in ("first", "second")]
        for candidate in made:
            await ctx.verify(task_verifier(ctx), candidate)
        return {"answer": None}

    task = {"prompt": "?", "reference": "second", "verifier": "exact"}
    async with session(tmp_path, reply=lambda call: call.text) as open_session:
        result = await open_session.run(one_node("both", judge_both), task, budget="verifier_calls=1")
    assert result.answer == "second"
    assert result.outcome == "unverified"
