"""Auto-RAG over a shelf of passages, with a scripted model: every way in which a dialogue can go and end."""

import pytest

from burnish import ScriptedEngine
from burnish.core.engine import Capabilities
from burnish.core.errors import ConfigError, RetrievalFailed
from burnish.engine.replies import Reply
from burnish.execution import _RECURSION_LIMIT
from burnish.graphs.rag_settings import AutoRagSettings
from tests.cli_kit import invoke
from tests.helpers import rows, session
from tests.rag_kit import GARDEN, NO_LAST_RESORT, Model, Shelf, answer, dialogue, ended, graph, kinds

PLAN = "Analysis: I look up the Rill.\nInitial Query: the Rill"
NEXT = "Intermediate Answer_1: Ada Quill dug it.\nRefined Query: Ada Quill"
DONE = "Intermediate Answer_2: She was born in Dorn.\nFinal Answer: Dorn"
LOST = "Intermediate Answer: nothing.\nRefined Query: Dorn"


async def test_a_question_is_answered_in_two_rounds(tmp_path):
    model, shelf = Model(PLAN, NEXT, DONE), Shelf()
    result = await answer(tmp_path, model, shelf, k=1)
    assert (result.answer, result.outcome) == ("Dorn", "unverified")
    assert [query for query, _ in shelf.asked] == ["the Rill", "Ada Quill"]
    reason, details = ended(tmp_path, result)
    assert reason == "answered"
    assert details["rounds"] == [
        {"query": "the Rill", "source": "search", "documents": ["rill"]},
        {"query": "Ada Quill", "source": "search", "documents": ["quill"]},
    ]
    assert (details["searches"], details["documents"], details["recalled"], details["calls"]) == (2, 2, 0, 3)
    assert kinds(tmp_path) == ["proposer", "retrieve", "proposer", "retrieve", "proposer"]
    (prompt,) = model.prompts()[-1:]
    assert dialogue(prompt) == [
        "Question: Where does the Rill end?",
        PLAN,
        "Retrieved Document_1: [The Rill] The Rill is a brook that Ada Quill dug.",
        NEXT,
        "Retrieved Document_2: [Ada Quill] Ada Quill was born in Dorn.",
    ]
    assert prompt.messages[0].role == "system"
    assert len(prompt.messages) > 6, "examples come first"


async def test_the_effective_context_is_the_sum_of_all_prompts(tmp_path):
    result = await answer(tmp_path, Model(PLAN, LOST), rounds=2, elicit=1)
    (prompts,) = rows(tmp_path, "SELECT sum(prompt_tokens) FROM call WHERE kind = 'generate'")[0]
    assert ended(tmp_path, result)[1]["effective_context_tokens"] == prompts == result.usage.prompt_tokens


async def test_the_first_reply_may_be_the_answer(tmp_path):
    shelf = Shelf()
    result = await answer(tmp_path, Model("Analysis: I know.\nFinal Answer: the Lenn"), shelf)
    assert (result.answer, ended(tmp_path, result)[0]) == ("the Lenn", "answered")
    assert not shelf.asked


async def test_the_answer_may_come_after_the_last_search(tmp_path):
    result = await answer(tmp_path, Model(PLAN, DONE), rounds=1)
    reason, details = ended(tmp_path, result)
    assert (result.answer, reason, details["searches"]) == ("Dorn", "answered", 1)


async def test_both_labels_in_one_reply_the_last_one_wins(tmp_path):
    both = f"{NEXT}\nFinal Answer: Dorn"
    assert (await answer(tmp_path, Model(PLAN, both))).answer == "Dorn"
    shelf = Shelf()
    assert (await answer(tmp_path, Model(PLAN, f"{DONE}\nRefined Query: Lenn", "Final Answer: no"), shelf)).answer == "no"
    assert shelf.asked[-1][0] == "Lenn"


async def test_an_invented_document_is_not_read(tmp_path):
    model = Model(f"{PLAN}\nRetrieved Document_1: The Rill ends in Rome.\nFinal Answer: Rome", DONE)
    assert (await answer(tmp_path, model)).answer == "Dorn"
    assert not any("Rome" in m.text for m in model.prompts()[-1].messages)


async def test_what_was_shown_is_not_shown_again(tmp_path):
    model, shelf = Model("Initial Query: Ada", "Refined Query: Ada", "Refined Query: Ada", DONE), Shelf(GARDEN[:2])
    result = await answer(tmp_path, model, shelf, k=1)
    assert [exclude for _, exclude in shelf.asked] == [[], ["rill"], ["quill", "rill"]]
    assert [r["documents"] for r in ended(tmp_path, result)[1]["rounds"]] == [["rill"], ["quill"], []]
    assert dialogue(model.prompts()[-1])[-1] == "Retrieved Document_3: (nothing was found that has not been shown)"


async def test_nothing_found_is_told_to_the_model(tmp_path):
    model = Model("Initial Query: Atlantis", "Final Answer: unknown")
    result = await answer(tmp_path, model)
    assert result.answer == "unknown"
    assert dialogue(model.prompts()[-1])[-1] == "Retrieved Document_1: (nothing was found that has not been shown)"


async def test_a_reply_without_a_label_is_asked_for_again(tmp_path):
    model = Model("Let me think.", PLAN, DONE)
    result = await answer(tmp_path, model, retries=1)
    reason, details = ended(tmp_path, result)
    assert (reason, details["unreadable"]) == ("answered", 1)
    again = dialogue(model.prompts()[1])
    assert again[1] == "Let me think."
    assert "neither a query nor a final answer" in again[2]
    assert "`Initial Query: `" in again[2]
    assert "Let me think." not in dialogue(model.prompts()[2]), "what was mended is not shown again"


@pytest.mark.parametrize("retries", [0, 2])
async def test_replies_that_cannot_be_read_end_the_dialogue(tmp_path, retries):
    model = Model(PLAN, "Hm.")
    result = await answer(tmp_path, model, retries=retries, **NO_LAST_RESORT)
    reason, details = ended(tmp_path, result)
    assert (result.answer, result.outcome, reason) == (None, "no_answer", "format_failure")
    assert details["unreadable"] == retries + 1
    assert model.roles() == ["think"] * (retries + 2)


async def test_after_a_format_failure_comes_the_closed_book(tmp_path):
    result = await answer(tmp_path, Model("Hm.", closed="Answer: the Lenn"), retries=0)
    reason, details = ended(tmp_path, result)
    assert (result.answer, reason, details["cause"]) == ("the Lenn", "closed_book", "format_failure")


async def test_rounds_used_up_then_recalled_documents_then_the_closed_book(tmp_path):
    model, shelf = Model(PLAN, LOST), Shelf()
    result = await answer(tmp_path, model, shelf, rounds=2, elicit=2, k=1)
    reason, details = ended(tmp_path, result)
    assert (result.answer, reason, details["cause"]) == ("from memory", "closed_book", "exhausted")
    assert (details["searches"], details["recalled"]) == (2, 2)
    assert [r["source"] for r in details["rounds"]] == ["search", "search", "recall", "recall"]
    assert model.roles() == ["think", "think", "think", "recall", "think", "recall", "think", "closed"]
    recall = model.prompts("recall")[0].messages[-1].text
    assert "Question: Where does the Rill end?\nQuery: Dorn\nParagraph:" in recall
    assert dialogue(model.prompts()[-1])[-1] == "Retrieved Document_4: The Rill ends in the Lenn."


async def test_an_answer_in_the_parametric_phase(tmp_path):
    result = await answer(tmp_path, Model(PLAN, LOST, DONE), rounds=1, elicit=5)
    reason, details = ended(tmp_path, result)
    assert (result.answer, reason, details["recalled"]) == ("Dorn", "answered_parametric", 1)


async def test_a_document_of_nothing_is_told_as_nothing(tmp_path):
    model = Model(PLAN, LOST, DONE, recall="\n\n")
    assert (await answer(tmp_path, model, rounds=1)).answer == "Dorn"
    assert dialogue(model.prompts()[-1])[-1].endswith("(nothing was found that has not been shown)")


async def test_rounds_used_up_without_a_last_resort(tmp_path):
    result = await answer(tmp_path, Model(PLAN, LOST), rounds=1, **NO_LAST_RESORT)
    assert (result.answer, result.outcome, ended(tmp_path, result)[0]) == (None, "no_answer", "exhausted")


async def test_the_last_turn_can_be_made_to_answer(tmp_path):
    model = Model(PLAN, DONE)
    result = await answer(tmp_path, model, rounds=1, elicit=0, at_end="force")
    assert (result.answer, ended(tmp_path, result)[0]) == ("Dorn", "answered")
    assert "Nothing more can be searched for" in dialogue(model.prompts()[-1])[-1]
    assert "Nothing more" not in dialogue(model.prompts()[0])[-1]
    stubborn = Model(PLAN, LOST)
    result = await answer(tmp_path, stubborn, rounds=1, elicit=0, at_end="force")
    assert (result.answer, ended(tmp_path, result)[0], stubborn.roles()) == (None, "exhausted", ["think", "think"])


async def test_a_closed_book_without_an_answer_leaves_the_cause(tmp_path):
    result = await answer(tmp_path, Model(PLAN, LOST, closed=""), rounds=1, elicit=0)
    assert (result.answer, ended(tmp_path, result)[0]) == (None, "exhausted")


async def test_a_query_that_was_cut_is_used_and_an_answer_is_not(tmp_path):
    shelf = Shelf()
    model = Model(Reply(PLAN, finish_reason="length"), Reply(DONE, finish_reason="length"))
    result = await answer(tmp_path, model, shelf, retries=0, **NO_LAST_RESORT)
    assert shelf.asked[0][0] == "the Rill"
    assert ended(tmp_path, result)[0] == "format_failure"


async def test_a_query_megabytes_long_is_cut(tmp_path):
    shelf, model = Shelf(), Model(Reply("Initial Query: " + "Dorn " * 500_000, tokens=9), DONE)
    assert (await answer(tmp_path, model, shelf)).answer == "Dorn"
    assert len(shelf.asked[0][0]) <= 4000
    assert sum(len(text) for text in dialogue(model.prompts()[-1])) < 20_000
    assert rows(tmp_path, "SELECT max(size) FROM blob WHERE sha IN (SELECT value_sha FROM call)")[0][0] < 20_000


async def test_a_passage_longer_than_the_context_is_cut(tmp_path):
    model = Model(PLAN, DONE)
    await answer(tmp_path, model, Shelf([("rill", "The Rill", "the Rill " * 100_000)]), passage_chars=300)
    assert len(dialogue(model.prompts()[-1])[-1]) < 350


async def test_an_index_that_dies_ends_the_run_which_goes_on_later(tmp_path):
    model, shelf = Model(PLAN, NEXT, DONE), Shelf(dies=2)
    async with session(tmp_path, engine=ScriptedEngine(model)) as s:
        ids: list[str] = []
        made = graph(shelf)
        with pytest.raises(RetrievalFailed):
            await s.run(made, "Where?", on_start=ids.append)
        assert rows(tmp_path, "SELECT status, error_code FROM run") == [("failed", "unreachable")]
        shelf.dies = None
        assert (await s.resume(ids[0], made)).answer == "Dorn"
    assert model.roles() == ["think"] * 3, "nothing was asked twice"
    assert [query for query, _ in shelf.asked] == ["the Rill", "Ada Quill", "Ada Quill"]


async def test_an_index_that_dies_can_end_the_searching_only(tmp_path):
    result = await answer(tmp_path, Model(PLAN, NEXT), Shelf(dies=2), on_failure="close", elicit=0)
    reason, details = ended(tmp_path, result)
    assert (result.answer, reason, details["cause"]) == ("from memory", "closed_book", "retrieval_failed")
    assert details["error"] == "the index died"
    result = await answer(tmp_path, Model(PLAN, NEXT, DONE), Shelf(dies=2), on_failure="close")
    assert (result.answer, ended(tmp_path, result)[0]) == ("Dorn", "answered_parametric")
    model = Model(lambda call: DONE if "Nothing more" in call.text else PLAN)
    result = await answer(tmp_path, model, Shelf(dies=1), on_failure="close", elicit=0, at_end="force")
    assert (result.answer, ended(tmp_path, result)[0]) == ("Dorn", "answered")


async def test_an_index_that_dies_and_nothing_to_fall_back_on(tmp_path):
    result = await answer(tmp_path, Model(PLAN), Shelf(dies=1), on_failure="close", **NO_LAST_RESORT)
    assert (result.answer, result.outcome, ended(tmp_path, result)[0]) == (None, "no_answer", "failed")


async def test_a_call_that_fails_closes_the_dialogue(tmp_path):
    result = await answer(tmp_path, Model(PLAN, RuntimeError("too long")))
    reason, details = ended(tmp_path, result)
    assert (result.answer, reason, details["cause"]) == ("from memory", "closed_book", "generation_failed")
    broken = RuntimeError("gone")
    result = await answer(tmp_path, Model(broken, closed=broken))
    assert (result.answer, ended(tmp_path, result)[0]) == (None, "failed")


async def test_an_index_that_dies_and_then_the_model_too(tmp_path):
    model = Model(PLAN, recall=RuntimeError("gone"))
    result = await answer(tmp_path, model, Shelf(dies=1), on_failure="close")
    assert (result.answer, ended(tmp_path, result)[1]["cause"]) == ("from memory", "generation_failed")
    model = Model(PLAN, RuntimeError("gone"))
    result = await answer(tmp_path, model, Shelf(dies=1), on_failure="close", at_end="give_up")
    assert (result.answer, ended(tmp_path, result)[0]) == (None, "failed")
    assert model.roles() == ["think", "recall", "think"]


def test_the_longest_dialogue_that_can_be_set_fits_into_a_run():
    def most(name):
        return next(m.le for m in AutoRagSettings.model_fields[name].metadata if hasattr(m, "le"))

    rounds, retries = most("rounds") + most("elicit"), most("retries")
    assert (rounds + 1) * (retries + 1) + rounds + len(("close", "finish")) < _RECURSION_LIMIT


async def test_a_budget_that_is_spent_ends_the_dialogue(tmp_path):
    result = await answer(tmp_path, Model(PLAN, LOST), budget="calls=2")
    reason, details = ended(tmp_path, result)
    assert (result.answer, result.budget_limit, reason, details["cause"]) == (None, "calls", "exhausted", "budget")


async def test_the_answer_is_judged_and_graded_like_any_other(tmp_path):
    task = {"prompt": "Where?", "reference": "Dorn", "verifier": "exact", "grader": "exact"}
    result = await answer(tmp_path, Model(PLAN, DONE), task=task)
    assert (result.outcome, result.verified, result.grade.outcome) == ("verified", True, "pass")
    result = await answer(tmp_path, Model(PLAN, "Final Answer: Rome"), task=task)
    assert (result.outcome, result.grade.outcome) == ("rejected", "fail")
    result = await answer(tmp_path, Model(PLAN, DONE), task=task, verifier=None)
    assert result.outcome == "unverified"


async def test_the_best_of_several_dialogues(tmp_path):
    task = {"prompt": "Where?", "reference": "Dorn", "verifier": "exact"}
    model = Model(PLAN, lambda call: DONE if call.seed % 2 else "Final Answer: Rome")
    result = await answer(tmp_path, model, task=task, n=8, stop_at_pass=False, temperature=0.7)
    assert (result.answer, result.outcome) == ("Dorn", "verified")
    decided = rows(tmp_path, "SELECT policy, reason, candidate_id FROM decision")
    assert [(policy, reason) for policy, reason, _ in decided].count(("auto_rag", "answered")) == 8
    made = {i for (i,) in rows(tmp_path, "SELECT id FROM candidate")}
    assert {candidate for _, _, candidate in decided} == made
    assert {text for (text,) in rows(tmp_path, "SELECT preview FROM candidate")} == {"Dorn", "Rome"}


async def test_dialogues_without_an_answer_are_failed_candidates(tmp_path):
    result = await answer(tmp_path, Model(PLAN, LOST), n=2, rounds=1, **NO_LAST_RESORT)
    assert (result.answer, result.outcome) == (None, "no_answer")
    (options,) = rows(tmp_path, "SELECT options FROM decision WHERE policy = 'best_of_n'")[0]
    assert options.count('"error":"exhausted"') == 2
    assert rows(tmp_path, "SELECT reason, candidate_id FROM decision WHERE policy = 'auto_rag'") == [("exhausted", None)] * 2


async def test_the_format_of_the_trained_checkpoint(tmp_path):
    model = Model(PLAN, "Refined Query: [Dense] Dorn", "Refined Query: Dorn", DONE)
    passages = [("rill", "The Rill", "A brook.\nthe Rill is a brook."), ("quill", "Ada Quill", "Of the Rill."), GARDEN[2]]
    await answer(tmp_path, model, Shelf(passages), k=2, format="trained", task={"prompt": " Where? "})
    messages = model.prompts()[-1].messages
    assert [m.role for m in messages] == ["system", *["user", "assistant"] * 3, "user"]
    assert messages[0].text.startswith("Answer the question with the help of documents")
    assert dialogue(model.prompts()[-1])[0] == "Question: Where?"
    shown = [m.text for m in messages if m.text.startswith("Retrieved")]
    assert shown == [
        "Retrieved Document_1: the Rill is a brook. Of the Rill.",
        "Retrieved Document_2: Dorn is a town on the Lenn.",
        "Retrieved Document_3:",
    ]


@pytest.mark.parametrize("able", [True, False])
async def test_labels_are_enforced_only_where_the_engine_can(tmp_path, able):
    plan, done = "Analysis: x\nInitial Query: Rill", "Intermediate Answer_1: x\nFinal Answer: Dorn"
    asked = []

    def reply(call):
        asked.append(call.sampling.regex is not None)
        return model(call)

    model = Model(plan, done)
    engine = ScriptedEngine(reply, capabilities=Capabilities(regex=able, seed=True, abort=True))
    async with session(tmp_path, engine=engine) as s:
        assert (await s.run(graph(structured=True), "Where?")).answer == "Dorn"
    assert asked == [able, able]


async def test_how_it_went_is_shown(tmp_path, monkeypatch, capsys):
    result = await answer(tmp_path, Model(PLAN, NEXT, DONE), k=1)
    monkeypatch.setenv("BURNISH_STORE", f"sqlite:///{tmp_path}/runs.db")
    assert invoke(["runs", "show", result.run_id]) == 0
    shown = capsys.readouterr().out
    assert "decision: auto_rag chose" in shown
    assert ": answered" in shown
    assert '{"documents":["rill"],"query":"the Rill","source":"search"}' in shown
    assert 'retrieve at /search@2/round1/search: {"asked":"the Rill","documents":[{"id":"rill","rank":1,"score":1.0}]' in shown


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "no corpus"),
        ({"corpus": "nowhere"}, "no corpus 'nowhere'"),
        ({"corpus": "http://name:secret@host/x"}, "password"),
        ({"corpus": "http://host/x", "retriever": "dense"}, "decides itself"),
        ({"corpus": "x", "k": 0}, "k=0"),
        ({"corpus": "x", "rounds": -1}, "rounds=-1"),
        ({"corpus": "x", "at_end": "pray"}, "at_end"),
    ],
)
async def test_settings_that_are_wrong_end_before_a_run(tmp_path, monkeypatch, settings, message):
    monkeypatch.setenv("BURNISH_HOME", str(tmp_path))
    async with session(tmp_path) as s:
        with pytest.raises(ConfigError, match=message):
            await s.run("auto_rag", "Where?", settings=settings)
    assert rows(tmp_path, "SELECT count(*) FROM run") == [(0,)]


@pytest.mark.parametrize("n", [1, 4])
async def test_support_is_looked_for_in_what_was_retrieved(tmp_path, n):
    def end(call):
        return DONE if n == 1 or call.seed % 2 else "Final Answer: Rome"

    settings = {"verifier": "supported", "n": n, "temperature": 0.5, "k": 2, "stop_at_pass": False}
    result = await answer(tmp_path, Model(PLAN, end), **settings)
    assert (result.answer, result.outcome) == ("Dorn", "verified")
    said = set(rows(tmp_path, "SELECT outcome, reason FROM verdict"))
    assert said == {("pass", "")} if n == 1 else {("pass", ""), ("fail", "unsupported")}
