"""The pairwise judge: two answers in both orders, and a knockout of several."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from burnish import (
    BestOfN,
    ConfigError,
    GenerationFailed,
    ScriptedEngine,
)
from burnish.agents.judge import LlmJudge
from burnish.agents.pairwise import Comparison, PairwiseJudge, knockout, pair_form
from burnish.agents.quoting import quote
from burnish.agents.structured import Unreadable
from burnish.core.errors import Cancelled
from burnish.graphs.builtin import one_node
from tests.helpers import rows, searching, session
from tests.rubric_kit import RUBRIC, TASK, engines, one_token, said


def prefers(text):
    """A judge that always names the answer that contains a text."""

    def reply(call):
        first, second = call.text.split("Answer 1:\n")[1].split("Answer 2:\n")
        better = "1" if text in first else "2" if text in second else "tie"
        return json.dumps({"reasoning": f"it says {text}", "better": better})

    return reply


async def compared(path, judge, judge_reply, texts=("It is 4", "It is 5"), run=None):
    """What a comparison of candidates gives within a run."""
    found = []

    async def node(state, runtime):
        ctx = runtime.context
        made = [await ctx.add(await ctx.generate(TASK.chat(), key=f"c{i}"), key=f"a{i}") for i in range(len(texts))]
        candidates = [replace(c, text=t) for c, t in zip(made, texts, strict=True)]
        found.append(await (run or (lambda c, j, cs: j(c, *cs)))(ctx, judge, candidates))
        return {"answer": "done"}

    given = engines("x", judge_reply)
    async with session(path, engine=given["default"], engines={"judge": given["judge"]}) as open_session:
        await open_session.run(one_node("compare", node), TASK)
    return found[0], given["judge"]


async def test_the_better_one_wins_from_both_places(tmp_path):
    for n, (text, winner) in enumerate([("4", "first"), ("5", "second"), ("6", "tie")]):
        (tmp_path / str(n)).mkdir()
        found, judge = await compared(tmp_path / str(n), PairwiseJudge(), prefers(text))
        assert found.winner == winner
        assert found.preference == {"first": 1.0, "second": 0.0, "tie": 0.5}[winner]
        assert judge.calls == 2
        assert rows(tmp_path / str(n), "SELECT role, purpose FROM call WHERE role = 'judge'") == [("judge", "verifier")] * 2
        assert json.loads(json.dumps(found.to_json()))["winner"] == winner


@pytest.mark.parametrize("place", ["1", "2"])
async def test_a_judge_that_prefers_a_place_decides_nothing(tmp_path, place):
    found, _ = await compared(tmp_path, PairwiseJudge(), json.dumps({"reasoning": "", "better": place}))
    assert (found.winner, found.preference) == ("tie", 0.5)


async def test_a_judge_that_cannot_be_read_gives_no_result(tmp_path):
    found, judge = await compared(tmp_path, PairwiseJudge(), "the first one, clearly")
    assert (found.winner, found.preference, judge.calls) == (None, None, 4)
    (tmp_path / "b").mkdir()
    found, judge = await compared(tmp_path / "b", PairwiseJudge(), GenerationFailed("down", code="server_error"))
    assert (found.winner, found.opinions[0].problem) == (None, "down")


async def test_equal_and_wordless_texts_need_no_judge(tmp_path):
    cases = [(("a", "a"), "tie"), (("...", "a"), "second"), (("a", "!"), "first"), (("!", "..."), "tie")]
    for n, (texts, winner) in enumerate(cases):
        (tmp_path / str(n)).mkdir()
        found, judge = await compared(tmp_path / str(n), PairwiseJudge(), "no", texts)
        assert (found.winner, judge.calls) == (winner, 0)


async def test_preferences_by_probability_are_free_of_the_place(tmp_path):
    def reply(call):
        first = "It is 4" in call.text.split("Answer 1:\n")[1].split("Answer 2:\n")[0]
        return one_token(_1=0.9, _2=0.1) if first else one_token(_1=0.6, _2=0.4)

    found, _ = await compared(tmp_path, PairwiseJudge(by="probability"), reply)
    assert found.winner == "tie"
    assert found.preference == pytest.approx((0.9 + 0.4) / 2)


@pytest.mark.parametrize(
    "value", [5, {}, {"better": "1"}, {"reasoning": "", "better": "first"}, {"reasoning": "", "better": True}]
)
def test_json_of_another_form_is_no_preference(value):
    with pytest.raises(Unreadable):
        pair_form().of_json(value)


async def test_a_knockout_finds_the_one_that_wins_every_comparison(tmp_path):
    async def run(ctx, judge, candidates):
        return await knockout(ctx, candidates, judge)

    texts = [f"It is {n}" for n in (5, 6, 7, 4, 8, 9, 10)]
    found, judge = await compared(tmp_path, PairwiseJudge(), prefers("is 4"), texts, run)
    assert found.text == "It is 4"
    assert judge.calls == 2 * (len(texts) - 1)
    (tmp_path / "b").mkdir()
    found, _ = await compared(tmp_path / "b", PairwiseJudge(), "unreadable", texts, run)
    assert found.text == texts[0]
    (tmp_path / "c").mkdir()
    with pytest.raises(ConfigError, match="no candidates"):
        await compared(tmp_path / "c", PairwiseJudge(), "1", [], run)


async def test_a_run_that_was_cut_between_judgement_and_verdict_asks_nothing_twice(tmp_path):
    judge = ScriptedEngine(said(4, 4))
    stopped = []

    class Stops(LlmJudge):
        async def verify(self, task, candidate, ctx=None):
            verdict = await super().verify(task, candidate, ctx)
            if not stopped:
                stopped.append(ctx.run.stop.request("enough"))
                raise Cancelled("enough")
            return verdict

    graph = searching(BestOfN(1), Stops(rubric=RUBRIC))
    async with session(tmp_path, "It is 4", engines={"judge": judge}) as open_session:
        with pytest.raises(Cancelled):
            await open_session.run(graph, TASK)
        assert judge.calls == 1
    [(run_id,)] = rows(tmp_path, "SELECT id FROM run")
    assert rows(tmp_path, "SELECT count(*) FROM verdict") == [(0,)]
    async with session(tmp_path, "It is 4", engines={"judge": judge}) as open_session:
        result = await open_session.resume(run_id, graph)
    assert (result.score, judge.calls) == (1.0, 1)


def test_a_comparison_without_opinions_has_a_preference():
    assert [Comparison(winner=w).preference for w in ("first", "second", "tie", None)] == [1.0, 0.0, 0.5, None]
    assert quote("a", "b", longest=200).to_json() == {"characters": 1, "cut": False, "broken": 0}


async def test_the_documents_graph_finds_the_better_answer(tmp_path):
    text = (Path(__file__).parent.parent / "docs" / "judges.md").read_text()
    (tmp_path / "pairs.py").write_text(re.search(r"```python\n# pairs.py\n(.*?)```", text, re.S)[1])
    judge = ScriptedEngine(prefers("is 4"))
    async with session(tmp_path, ["It is 3", "It is 4", "It is 5"], engines={"judge": judge}) as open_session:
        result = await open_session.run(f"{tmp_path}/pairs.py:graph", TASK, settings={"n": 12})
    assert result.answer == "It is 4"
    assert rows(tmp_path, "SELECT count(*) FROM call WHERE purpose = 'verifier'") == [(judge.calls,)]
