"""DRAG, IterDRAG, IRCoT and ITER-RETGEN: each loop by script, what its prompts show, how it ends, and what it cost."""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import replace

import pytest

from burnish import ScriptedEngine, Session
from burnish.agents.demonstrations import demonstrations
from burnish.agents.ircot import answer_of, first_sentence
from burnish.agents.iter_drag import FINAL, FOLLOW_UP, INTERMEDIATE, Line, read
from burnish.core.errors import ConfigError, RetrievalFailed
from burnish.engine.replies import Reply
from burnish.engine.scripted import CAPABILITIES
from burnish.graphs.rag_baseline_settings import DragSettings, IrcotSettings, IterDragSettings, IterRetgenSettings
from burnish.graphs.rag_baselines import drag, ircot, iter_drag, iter_retgen
from burnish.graphs.registry import build_graph
from tests.cli_kit import burnish as burnish
from tests.helpers import rows, session
from tests.rag_kit import Shelf, ended, graph
from tests.test_docs import ROOT, blocks

GARDEN = ROOT / "examples" / "garden"
TASK = "Where does the Rill end?"
RILL = "Doc 1(Title: The Rill) The Rill is a brook that Ada Quill dug."
LENN = "Title: Lenn) The Lenn is a river."


class Says:
    """Replies in their order, then the last one again; keeps what it was asked."""

    def __init__(self, *replies):
        self.replies, self.calls = replies, []

    def __call__(self, call):
        self.calls.append(call)
        return self.replies[min(len(self.calls), len(self.replies)) - 1]

    def case(self, number):
        """What a request shows below the examples: documents, question, and what was said so far."""
        return self.shown(number).split("\n\nDocuments:\n")[-1]

    def shown(self, number):
        return self.calls[number].prompt.messages[0].text


async def run(path, made, *replies, task=TASK, capabilities=CAPABILITIES, budget=None):
    """One run: its result, how it ended, and the model."""
    model = Says(*replies)
    async with session(path, engine=ScriptedEngine(model, capabilities=capabilities)) as s:
        result = await s.run(made, task, budget=budget)
    return result, ended(path, result), model


def same_tokens(path, result, details):
    """The prompt tokens of the run, which its record, its call rows and its usage must agree on."""
    sums = rows(path, "SELECT count(*), sum(prompt_tokens) FROM call WHERE kind = 'generate' AND run_id = ?", result.run_id)
    assert sums == [(details["calls"], details["effective_context_tokens"])]
    return sums[0]


# DRAG


async def test_drag_shows_the_best_document_last_and_calls_once(tmp_path):
    shelf = Shelf()
    made = graph(shelf, drag, documents=2, shots=2)
    result, (reason, details), model = await run(tmp_path, made, "Answer: the Lenn\n\nAs it says.", task="The Rill or Ada Quill?")
    assert (result.answer, reason, len(model.calls)) == ("the Lenn", "answered", 1)
    assert shelf.asked == [("The Rill or Ada Quill?", [])]
    assert model.case(0) == (
        "Doc 1(Title: Ada Quill) Ada Quill was born in Dorn.\nDoc 2(Title: The Rill) The Rill is a brook that Ada Quill dug."
        "\n\nQuestion: The Rill or Ada Quill?\nAnswer:"
    )
    assert same_tokens(tmp_path, result, details)[0] == 1


async def test_drag_shows_as_many_examples_as_it_is_told_with_documents_of_their_own(tmp_path):
    for shots, documents in ((0, 1), (3, 1), (4, 2)):
        *_, model = await run(tmp_path, graph(None, drag, documents=documents, shots=shots), "x")
        examples = model.shown(0).split("\n\nDocuments:\n")[1:-1]
        assert [e.count("Doc ") for e in examples] == [documents] * shots
        for example, shot in zip(examples, demonstrations(shots), strict=True):
            assert example.endswith(f"\n\nQuestion: {shot.question}\nAnswer: {shot.answer}")
            assert shot.documents[0].title in example.split("\n\n")[0].split("\n")[-1], "the best document stands last"
            assert "Follow up" not in example


async def test_without_documents_nothing_is_searched_or_shown(tmp_path):
    made = build_graph("drag", {"documents": 0, "shots": 1})
    assert set(made.nodes) == {"__start__", "think", "close", "finish"}
    result, (reason, details), model = await run(tmp_path, made, "Dorn")
    assert (result.answer, reason, details["searches"]) == ("Dorn", "answered", 0)
    assert "Documents:" not in model.shown(0)
    assert model.shown(0).endswith(f"Answer: Catania\n\nQuestion: {TASK}\nAnswer:")
    assert rows(tmp_path, "SELECT DISTINCT kind FROM call") == [("generate",)]


async def test_a_document_is_cut_behind_its_first_words(tmp_path):
    shelf = Shelf([("long", "Rill", "one two\nthree  four five"), ("short", "Rill", "one two three")])
    *_, model = await run(tmp_path, graph(shelf, drag, documents=2, shots=0, document_words=3), "x", task="Rill")
    assert "Doc 1(Title: Rill) one two three\nDoc 2(Title: Rill) one two\nthree\n" in model.shown(0)


async def test_a_reply_that_is_cut_or_empty_is_no_answer(tmp_path):
    cut = Reply("It was the", finish_reason="length")
    result, (reason, details), model = await run(tmp_path, graph(None, drag, retries=2), cut, "", "the Lenn")
    assert (result.answer, reason, details["unreadable"]) == ("the Lenn", "answered", 2)
    told = [m.text for m in model.calls[2].prompt.messages[1:]]
    assert told[0] == "It was the"
    assert "cut before its end" in told[1]
    assert "it is empty" in told[3]
    result, (reason, details), _ = await run(tmp_path, graph(None, drag), cut)
    assert (result.answer, reason, details["calls"]) == (None, "format_failure", 2)


# IterDRAG

STEPS = ("Follow up: Who dug the Rill", "Intermediate answer: Ada Quill", f"{FOLLOW_UP}: Lenn?", f"{INTERMEDIATE}: a river.")


async def test_iter_drag_adds_the_documents_of_each_sub_question(tmp_path):
    shelf = Shelf()
    made = graph(shelf, iter_drag, documents=1, shots=1)
    replies = ("Follow up: Ada", "Intermediate answer: Dorn.", "Follow up: Lenn", f"{INTERMEDIATE}: yes", f"{FINAL}: the Lenn")
    result, (reason, details), model = await run(tmp_path, made, *replies, task="Where was the Rill?")
    assert (result.answer, reason) == ("the Lenn", "answered")
    assert [query for query, _ in shelf.asked] == ["Where was the Rill?", "Ada", "Lenn"]
    assert (details["searches"], details["calls"]) == (3, 5)
    assert model.case(0) == f"{RILL}\n\nQuestion: Where was the Rill?"
    # The second search finds the same passage again, which is shown once.
    assert model.case(1) == f"{RILL}\n\nQuestion: Where was the Rill?\nFollow up: Ada"
    assert model.case(2) == f"{model.case(1)}\nIntermediate answer: Dorn."
    assert model.case(4) == (
        f"{RILL}\nDoc 2(Title: Dorn) Dorn is a town on the Lenn.\n\nQuestion: Where was the Rill?\nFollow up: Ada\n"
        "Intermediate answer: Dorn.\nFollow up: Lenn\nIntermediate answer: yes"
    )
    assert same_tokens(tmp_path, result, details)[0] == 5


async def test_the_documents_of_a_round_stand_best_last(tmp_path):
    made = graph(None, iter_drag, documents=2, shots=0)
    *_, model = await run(tmp_path, made, "Follow up: Lenn river", f"{INTERMEDIATE}: x", f"{FINAL}: y", task="Rill Quill")
    titles = [line.split(")")[0].split("Title: ")[1] for line in model.case(2).split("\n") if line.startswith("Doc ")]
    assert titles == ["Ada Quill", "The Rill", "Lenn", "Dorn"]


async def test_the_examples_show_their_sub_questions(tmp_path):
    *_, model = await run(tmp_path, graph(None, iter_drag, shots=4), f"{FINAL}: x")
    examples = model.shown(0).split("\n\nDocuments:\n")[1:-1]
    for example, shot in zip(examples, demonstrations(4), strict=True):
        said = example.split("\n\n")[1].split("\n")
        assert [line.partition(":")[0] for line in said] == ["Question", *(FOLLOW_UP, INTERMEDIATE) * len(shot.steps), FINAL]
        assert len(set(example.split("\n\n")[0].split("\n"))) == example.count("Doc "), "each document once"
        assert all(step.documents[0].text in example for step in shot.steps)


async def test_after_five_sub_questions_the_answer_is_forced(tmp_path):
    replies = [f"{FOLLOW_UP}: Dorn", f"{INTERMEDIATE}: a town"] * 5
    result, (reason, details), model = await run(tmp_path, graph(None, iter_drag, shots=0), *replies, "the Lenn\nAnd more.")
    assert (result.answer, reason) == ("the Lenn", "answered")
    assert (details["searches"], details["calls"], len(model.calls)) == (6, 11, 11)
    assert model.case(10).endswith(f"{INTERMEDIATE}: a town\n{FINAL}:")
    assert not any(model.case(n).endswith(f"{FINAL}:") for n in range(10))
    assert same_tokens(tmp_path, result, details)[0] == 11


async def test_one_that_asks_on_when_it_must_answer_has_no_answer(tmp_path):
    replies = [f"{FOLLOW_UP}: Dorn", f"{INTERMEDIATE}: a town"] * 2
    made = graph(None, iter_drag, iterations=2, retries=1)
    result, (reason, details), model = await run(tmp_path, made, *replies, f"{FOLLOW_UP}: Lenn", f"{FOLLOW_UP}: Moss")
    assert (result.answer, reason, details["unreadable"]) == (None, "format_failure", 2)
    assert "out of place" in model.calls[5].prompt.messages[-1].text
    assert len(model.calls) == 6, "the intermediate answer is not asked for again"
    result, (reason, _), _ = await run(tmp_path, made, *replies, "Follow up: x", f"{FINAL}: Dorn")
    assert (result.answer, reason) == ("Dorn", "answered")


async def test_an_illegal_prefix_is_shown_to_the_model_again(tmp_path):
    replies = ("I think so.", "Follow up: Lenn", "It is a river.", f"{INTERMEDIATE}: a river", "Hm.", f"{FINAL}: Lenn")
    made = graph(None, iter_drag, retries=2, shots=0)
    result, (reason, details), model = await run(tmp_path, made, *replies)
    assert (result.answer, reason, details["unreadable"], details["calls"]) == ("Lenn", "answered", 3, 6)
    assert same_tokens(tmp_path, result, details)[0] == 6
    first = [m.text for m in model.calls[1].prompt.messages[1:]]
    assert first[0] == "I think so."
    assert "`Follow up:` or `So the final answer is:`" in first[1]
    second = [m.text for m in model.calls[3].prompt.messages[1:]]
    assert second[0] == "It is a river."
    assert "`Intermediate answer:` or `So the final answer is:`" in second[1]
    assert [len(call.prompt.messages) for call in model.calls] == [1, 3, 1, 3, 1, 3]
    assert model.case(5).endswith("\nFollow up: Lenn\nIntermediate answer: a river"), "what was read is not asked for again"


@pytest.mark.parametrize(
    ("reply", "legal", "read_as"),
    [
        ("Follow up: who?", (FOLLOW_UP, FINAL), f"{FOLLOW_UP}: who?"),
        ("\n **Follow up:** who?\nIntermediate answer: she", (FOLLOW_UP, FINAL), f"{FOLLOW_UP}: who?"),
        ("so the final answer is: Dorn", (FOLLOW_UP, FINAL), f"{FINAL}: Dorn"),
        ("Intermediate answer:\nshe was", (INTERMEDIATE, FINAL), f"{INTERMEDIATE}: she was"),
        ("Intermediate answer: she", (FOLLOW_UP, FINAL), "Intermediate answer is out of place here"),
        ("Follow up: who?", (INTERMEDIATE, FINAL), "Follow up is out of place here"),
        ("The answer: So the final answer is: Dorn", (FOLLOW_UP, FINAL), "it does not begin with"),
        ("", (FINAL,), "it does not begin with"),
        ("Follow up", (FOLLOW_UP, FINAL), "it does not begin with"),
        ("So the final answer is: **", (FINAL,), "nothing stands behind"),
        ("ſo the final answer is: Dorn", (FINAL,), "it does not begin with"),
    ],
)
def test_which_lines_are_read(reply, legal, read_as):
    found = read(reply, legal)
    assert (str(found) if isinstance(found, Line) else found).startswith(read_as)
    assert isinstance(found, Line) == (": " in read_as)


@pytest.mark.parametrize("reply", ["x" * 1_000_000, "Follow up: " + " \n" * 500_000, "*" * 1_000_000, "\x00\ud800 Follow up:"])
def test_rubbish_is_read_at_once(reply):
    assert isinstance(read(reply, (FOLLOW_UP, FINAL)), str)
    first_sentence(reply[:16_000])


def test_of_a_reply_that_was_cut_only_a_whole_line_is_known():
    assert read(f"{FINAL}: the Le", (FINAL,), cut=True) == Line(label=FINAL, text="the Le", cut=True)
    assert read(f"{FINAL}: the Lenn\nSin", (FINAL,), cut=True) == Line(label=FINAL, text="the Lenn")
    assert read("the Lenn", (FINAL,), begun=True) == Line(label=FINAL, text="the Lenn")


async def test_labels_are_enforced_where_the_engine_can(tmp_path):
    able = replace(CAPABILITIES, regex=True)
    replies = (*STEPS, f"{FINAL}: x")
    *_, model = await run(tmp_path, graph(None, iter_drag), *replies, capabilities=able)
    patterns = [call.sampling.regex.partition(":")[0] for call in model.calls]
    assert patterns == [
        f"({FOLLOW_UP}|{FINAL})",
        f"({INTERMEDIATE}|{FINAL})",
        f"({FOLLOW_UP}|{FINAL})",
        f"({INTERMEDIATE}|{FINAL})",
        f"({FOLLOW_UP}|{FINAL})",
    ]
    *_, model = await run(tmp_path, graph(None, iter_drag, structured=False), *replies, capabilities=able)
    assert {call.sampling.regex for call in model.calls} == {None}


async def test_one_iteration_is_the_single_call_of_drag(tmp_path):
    asked = [
        (await run(tmp_path, graph(None, method, shots=2, max_tokens=50, **more), "Dorn"))[2].calls
        for method, more in ((drag, {}), (iter_drag, {"iterations": 1}))
    ]
    assert [[call.prompt for call in calls] for calls in asked] == [[asked[0][0].prompt]] * 2


async def test_sub_questions_without_documents_are_answered_from_memory(tmp_path):
    made = build_graph("iter_drag", {"documents": 0, "iterations": 2, "shots": 1})
    result, (reason, details), model = await run(tmp_path, made, *STEPS, "Dorn")
    assert (result.answer, reason, details["documents"], details["calls"]) == ("Dorn", "answered", 0, 5)
    assert "Documents:" not in "".join(model.shown(n) for n in range(5))


async def test_a_search_that_fails_can_end_the_searching(tmp_path):
    made = graph(Shelf(dies=2), iter_drag, on_failure="close", shots=0, documents=1)
    result, (reason, details), model = await run(tmp_path, made, "Follow up: Ada", "the Lenn")
    assert (result.answer, reason) == ("the Lenn", "answered")
    assert details["cause"] == "retrieval_failed"
    assert model.case(1).endswith(f"Question: {TASK}\n{FINAL}:")


async def test_a_budget_ends_it(tmp_path):
    result, (reason, details), _ = await run(tmp_path, graph(None, iter_drag), *STEPS, budget={"calls": 2})
    assert (result.answer, reason, details["cause"], details["searches"]) == (None, "exhausted", "budget", 2)


# IRCoT


async def test_ircot_searches_with_each_sentence_and_ends_at_the_answer(tmp_path):
    shelf = Shelf()
    made = graph(shelf, ircot, k=2, most=2, shots=1)
    replies = ("Ada Quill dug the Rill. She was born", "Dorn lies on the Lenn", "So the answer is: the Lenn.")
    result, (reason, details), model = await run(tmp_path, made, *replies, task="Which river")
    assert (result.answer, reason, details["searches"]) == ("the Lenn", "answered", 3)
    assert [query for query, _ in shelf.asked] == ["Which river", "Ada Quill dug the Rill.", "Dorn lies on the Lenn"]
    assert model.case(0) == "Doc 1(Title: Lenn) The Lenn is a river.\n\nQuestion: Which river\nReasoning:"
    last = model.case(2)
    assert last.endswith("\n\nQuestion: Which river\nReasoning: Ada Quill dug the Rill. Dorn lies on the Lenn")
    assert last.count("Doc ") == 2, "at most so many passages"
    assert same_tokens(tmp_path, result, details)[0] == 3


async def test_ircot_merges_by_the_best_score_and_keeps_the_best_last(tmp_path):
    made = graph(None, ircot, k=2, most=2, shots=0)
    *_, model = await run(tmp_path, made, "Lenn river", "The answer is Dorn", task="Rill Quill")
    # rill 1, quill 1/2; then dorn 1, lenn 1/2: of equal scores the earlier one is better.
    assert [line.split("Title: ")[1].split(")")[0] for line in model.case(1).split("\n")[:2]] == ["Dorn", "The Rill"]


async def test_ircot_shows_examples_and_forces_the_answer(tmp_path):
    made = graph(None, ircot, rounds=2, k=1, shots=2)
    result, (reason, details), model = await run(tmp_path, made, "A thought.", "Dorn. That is all.")
    assert (result.answer, reason, details["searches"], details["calls"]) == ("Dorn", "answered", 2, 2)
    assert model.case(1).endswith("Reasoning: A thought. So the answer is:")
    assert (
        "\nReasoning: Norma was composed by Vincenzo Bellini. Vincenzo Bellini was born in Catania. So the answer is: Catania."
        in (model.shown(0))
    )


async def test_ircot_asks_again_for_what_is_no_sentence_and_no_answer(tmp_path):
    cut = Reply("So the answer is: the Le", finish_reason="length")
    result, (reason, details), model = await run(tmp_path, graph(None, ircot, retries=2), "", cut, "So the answer is: the Lenn")
    assert (result.answer, reason, details["unreadable"]) == ("the Lenn", "answered", 2)
    assert "cut before its end" in model.calls[2].prompt.messages[-1].text


@pytest.mark.parametrize(
    ("text", "sentence", "answer"),
    [
        ("Dorn is a town. It lies there.", "Dorn is a town.", None),
        ("Mr. J. Pell met Dr. Wren. He left.", "Mr. J. Pell met Dr. Wren.", None),
        ("It is 3.5 km long. Then", "It is 3.5 km long.", None),
        ("No end\nNext", "No end", None),
        ('"So it is." He said.', '"So it is."', None),
        ("So the answer is: J. K. Wren. For he", "So the answer is: J. K. Wren.", "J. K. Wren"),
        ("so the answer is Dorn", "so the answer is Dorn", "Dorn"),
        ("So the answer is:\n**Dorn**\nYes.", "So the answer is: **Dorn**", "Dorn"),
        ("So the final answer is: Dorn!", "So the final answer is: Dorn!", "Dorn!"),
        ("So the answer is:", "So the answer is:", ""),
        ("", "", None),
    ],
)
def test_sentences_and_answers(text, sentence, answer):
    assert (first_sentence(text)[0], answer_of(first_sentence(text)[0])) == (sentence, answer)


# ITER-RETGEN


async def test_iter_retgen_searches_with_question_and_generation(tmp_path):
    shelf = Shelf()
    made = graph(shelf, iter_retgen, k=1)
    result, (reason, details), model = await run(tmp_path, made, "Moss", "the river\n\nas it says", "Dorn", task="Rill?")
    assert (result.answer, reason, details["searches"], details["calls"]) == ("Dorn", "answered", 3, 3)
    assert [query for query, _ in shelf.asked] == ["Rill?", "Rill? Moss", "Rill? the river\n\nas it says"]
    assert "nothing was found" in model.shown(0)
    assert "Doc 1(Title: Moss)" in model.shown(1)
    assert "Moss" not in model.shown(2), "each round shows its own passages only"
    assert same_tokens(tmp_path, result, details)[0] == 3


# What all share

DIALOGUES = {
    drag: ("Dorn",),
    iter_drag: (*STEPS, f"{FINAL}: Dorn"),
    ircot: ("The Rill is a brook.", "Ada dug it.", "So the answer is: Dorn"),
    iter_retgen: ("Moss", "Lenn", "Dorn"),
}


@pytest.mark.parametrize("method", DIALOGUES)
async def test_a_run_that_stopped_goes_on_with_the_search_that_failed(tmp_path, method):
    replies, searches = DIALOGUES[method], {drag: 1, iter_drag: 3, ircot: 3, iter_retgen: 3}[method]
    (tmp_path / "whole").mkdir()
    whole, about, undisturbed = await run(tmp_path / "whole", graph(None, method), *replies)
    broken, model = Shelf(dies=searches), Says(*replies)
    async with session(tmp_path, engine=ScriptedEngine(model)) as s:
        with pytest.raises(RetrievalFailed):
            await s.run(graph(broken, method), TASK, seed=1)
    before = len(model.calls)
    ((run_id, status),) = rows(tmp_path, "SELECT id, status FROM run")
    assert (status, before) == ("failed", len(undisturbed.calls) - (1 if method is not iter_drag else 2))
    rest = Says(*replies[before:])
    shelf = Shelf()
    async with session(tmp_path, engine=ScriptedEngine(rest)) as s:
        result = await s.resume(run_id, graph(shelf, method))
    assert (result.answer, ended(tmp_path, result)) == (whole.answer, about)
    assert len(rest.calls) == len(undisturbed.calls) - before, "no finished call is sent again"
    assert len(shelf.asked) == 1
    assert rest.calls[-1].prompt == undisturbed.calls[-1].prompt


async def test_several_dialogues_of_which_the_verifier_chooses(tmp_path):
    def said(call):
        return f"{FINAL}: answer {call.seed % 3}"

    task = {"prompt": TASK, "reference": ["answer 1"], "verifier": "answer_match"}
    async with session(tmp_path, engine=ScriptedEngine(said)) as s:
        result = await s.run(graph(None, iter_drag, n=12, temperature=0.7, stop_at_pass=False), task, seed=1)
    assert (result.answer, result.outcome) == ("answer 1", "verified")


def test_examples_are_checked(tmp_path):
    with pytest.raises(ConfigError, match="5 shots are more"):
        demonstrations(5)
    with pytest.raises(ConfigError, match="no corpus"):
        build_graph("iter_drag")
    file = tmp_path / "mine.jsonl"
    good = {"question": "Who?", "answer": "she", "documents": [{"text": "a"}], "steps": [{"query": "q", "answer": "a"}]}
    wrong = ("{", "[]", {**good, "answer": ""}, {**good, "steps": {}}, {**good, "steps": [1]}, {**good, "documents": [{}]})
    for line in wrong:
        file.write_text(json.dumps(good) + "\n" + (line if isinstance(line, str) else json.dumps(line)) + "\n")
        with pytest.raises(ConfigError, match=r"mine\.jsonl, line 2"):
            demonstrations(2, str(file))
        assert demonstrations(1, str(file))[0].steps[0].documents == ()
    file.write_bytes(b"\xff\xfe")
    for name in (file, tmp_path / "nothing", tmp_path):
        with pytest.raises(ConfigError, match="cannot be read"):
            build_graph("drag", {"examples": str(name), "documents": 0})


def knowing(call):
    """A model that gets more right with documents (of one set), with examples (of the other more) and with sub-questions."""
    prompt = call.prompt.messages[0].text
    asked = prompt.rsplit("Question: ", 1)[1]
    known = 2 * ("Doc " in prompt and "near" in asked) + (1 + ("far" in asked)) * ("Norma" in prompt) + (INTERMEDIATE in asked)
    answer = "Dorn" if int(asked.split("number ")[1][0]) < known else "Eddin"
    if prompt.endswith(("Answer:", f"{FINAL}:")):
        return answer
    return f"{INTERMEDIATE}: Dorn" if prompt.rsplit("\n", 1)[-1].startswith(FOLLOW_UP) else f"{FOLLOW_UP}: Dorn"


async def test_recorded_runs_over_a_real_corpus_are_fitted(burnish, monkeypatch, tmp_path):
    monkeypatch.setenv("BURNISH_HOME", str(tmp_path / "home"))
    built = burnish("corpus", "build", "garden", "--from", str(GARDEN / "passages.jsonl"))
    assert built.status == 0, built.err
    tasks = [
        {"id": f"{s}{n}", "prompt": f"In {s} Dorn, number {n}?", "reference": "Dorn", "grader": "answer_match"}
        | {"metadata": {"set": s}}
        for s in ("near", "far")
        for n in range(4)
    ]
    grid = [(k, m, n) for k in (0, 1) for m in (0, 1) for n in (1, 2)]
    async with Session(ScriptedEngine(knowing), store="sqlite:///burnish.db") as s:
        for k, m, n in grid:
            settings = {"corpus": "garden", "retriever": "lexical", "documents": k, "shots": m}
            name, more = ("drag", {}) if n == 1 else ("iter_drag", {"iterations": n})
            async for result in s.batch(name, tasks, settings={**settings, **more}, name=f"{k} {m} {n}"):
                assert result.error is None
    batches = [word for k, m, n in grid for word in ("--batch", f"{k} {m} {n}")]
    fitted = burnish("rag", "fit", "model.json", *batches, "--json")
    assert fitted.status == 0, fitted.out
    assert (fitted.data["runs"], fitted.data["measurements"]) == (64, 16)
    assert (fitted.data["left_out"], fitted.data["uneven"]) == ({}, [])
    near, far = (fitted.data["model"]["informativeness"][s] for s in ("near", "far"))
    assert (near["documents"], near["shots"]) == (2 / 4, 1 / 4)
    assert (far["documents"], far["shots"]) == (0, 2 / 4)
    planned = burnish("rag", "plan", "model.json", "--dataset", "near", "--budget-tokens", "100000", "--json").data
    assert (planned["documents"] > 0, planned["shots"], planned["iterations"]) == (True, 1, 2)


def test_the_page_tells_what_is_so(burnish, monkeypatch, tmp_path):
    page = (ROOT / "docs" / "rag-baselines.md").read_text()
    monkeypatch.setenv("BURNISH_HOME", str(tmp_path / "home"))
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    for name, code in blocks(page).items():
        (tmp_path / name).write_text(code)
    for command in re.search(r"```sh\n(.*?)\n```", page, re.S)[1].replace("\\\n", " ").split("\n"):
        done = burnish(*shlex.split(command)[1:])
        assert done.status == 0, done.err
    assert f"prints `{done.out.strip()}`" in page
    (tmp_path / "burnish.db").rename(tmp_path / "runs.db")
    details = json.loads(rows(tmp_path, "SELECT details FROM decision")[0][0])
    assert f"after {details['searches']} searches and {details['calls']} calls" in page
    for part, settings in zip(page.split("\n## ")[1:], (IterDragSettings(), IrcotSettings(), IterRetgenSettings()), strict=True):
        for name, default in re.findall(r"^\| `(\w+)` \| (\d+)", part, re.M):
            assert int(default) in (getattr(settings, name), getattr(DragSettings(), name, None)), name
    assert (IterRetgenSettings().rounds, IterRetgenSettings().k) == (3, 5)
    assert (DragSettings().max_tokens, IterDragSettings().max_tokens) == (64, 128)
    assert {str(len(shot.documents)) for shot in demonstrations(4)} == {"4"}
