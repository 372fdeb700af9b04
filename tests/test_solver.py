"""The solver's rewrites: what it is told is wrong is what a verifier said of the answer, and nothing else."""

from __future__ import annotations

import pytest

from burnish import Candidate, Expansion, ScriptedEngine, Solver, Verdict
from burnish.core.proposer import Proposal
from burnish.graphs.builtin import one_node
from tests.helpers import session


@pytest.mark.parametrize(
    ("verdict", "told"),
    [
        (Verdict.failed("it has no verb"), "it has no verb"),
        (Verdict.failed(), "It is not right."),
        (Verdict.abstain("timeout", "no answer within 30 s"), "It is not known whether it is right."),
        (None, "It is not known whether it is right."),
        (Verdict.passed(0.9, feedback="too long"), "too long"),
        (Verdict.passed(), "Nothing is known to be wrong with it."),
    ],
)
async def test_a_rewrite_is_told_what_is_wrong_with_the_answer(tmp_path, verdict, told):
    asked: list[str] = []

    def reply(call):
        asked.append(call.text)
        return "better"

    async def rewrite(state, runtime):
        wish = Proposal(expansion=Expansion(id="a", kind="refine"), parents=(Candidate.of("a draft"),), verdicts=(verdict,))
        return {"answer": (await Solver().propose(runtime.context.scope(), wish)).text}

    async with session(tmp_path, engine=ScriptedEngine(reply)) as open_session:
        result = await open_session.run(one_node("rewrite", rewrite), "Say it.")
    assert result.answer == "better"
    (text,) = asked
    assert text.startswith("Say it.\n\nAn earlier answer was:\na draft\n")
    assert f"What is wrong with it:\n{told}\n" in text
