"""Training data out of stored runs: accepted answers and dialogues as chat examples that other programs can load."""

from __future__ import annotations

import json
import re
import shlex
import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest

from burnish import BestOfN, BurnishError, ScriptedEngine, Session, Solver, search_node
from burnish.core.completion import Completion
from burnish.core.prompt import Message, Prompt
from burnish.engine.models import DEFAULT_MODEL, stored
from burnish.graphs.builtin import one_node
from burnish.graphs.registry import BUILTIN, check_settings
from burnish.traces.sft import By, What
from burnish.verifiers import AnswerMatch
from tests.cli_kit import burnish as burnish

PAGE = (Path(__file__).parent.parent / "docs" / "training-data.md").read_text()

REPLIES = ["41", "It is 42", "42", "\x1b[1m42"]
TASK = {
    "id": "sum",
    "prompt": "What is 17 + 25?",
    "messages": [{"role": "user", "content": "What is 1 + 1?"}, {"role": "assistant", "content": "2"}],
    "reference": 42,
    "verifier": "numeric",
    "grader": "answer_match",
}


def examples(text):
    found = [json.loads(line) for line in text.splitlines()]
    for example in found:
        assert example.keys() == {"messages", "metadata"}
        roles = [m["role"] for m in example["messages"]]
        assert roles[-1] == "assistant"
        assert "user" in roles
        assert all(m.keys() == {"role", "content"} and isinstance(m["content"], str) for m in example["messages"])
    return found


async def search(task=TASK, replies=REPLIES, **options):
    left = iter(replies)
    async with Session(ScriptedEngine(lambda _: next(left)), store="sqlite:///burnish.db", **options) as session:
        settings = {"n": len(replies), "width": 1, "stop_at_pass": False, "system": "Be brief."}
        return await session.run("best_of_n", task, settings=settings)


async def test_what_a_grader_passed_is_exported_as_it_was_asked_for(burnish):
    result = await search(grade_all=True)
    done = burnish("export", "sft", "--all")
    assert done.status == 0, done.err
    (first,) = examples(done.out)
    assert first["messages"] == [
        {"role": "system", "content": "Be brief."},
        *TASK["messages"],
        {"role": "user", "content": TASK["prompt"]},
        {"role": "assistant", "content": "42"},
    ]
    meta = first["metadata"]
    assert (meta["run_id"], meta["task_id"], meta["graph"], meta["model"]) == (result.run_id, "sum", "best_of_n", "scripted")
    assert (meta["score"], meta["accepted_by"], meta["oracle"], meta["kind"]) == (1.0, "answer_match", True, "fresh")
    assert done.err == "left out: 3 not accepted\n"


async def test_the_verifiers_word_counts_where_it_is_asked_for_or_no_grader_judged(burnish):
    await search(grade_all=True)
    by_verifier = examples(burnish("export", "sft", "--all", "--accepted-by", "verifier").out)
    assert [e["messages"][-1]["content"] for e in by_verifier] == REPLIES[1:]
    assert by_verifier[0]["metadata"]["accepted_by"] == "numeric"
    Path("burnish.db").unlink()
    await search({**TASK, "grader": None})
    assert len(examples(burnish("export", "sft", "--all").out)) == 3
    assert burnish("export", "sft", "--all", "--accepted-by", "grader").out == ""


async def test_filters_and_forms(burnish):
    await search()
    await search()
    every = ("export", "sft", "--all", "--accepted-by", "verifier")
    assert len(examples(burnish(*every).out)) == 3, "the second run says nothing else"
    assert "left out: 3 duplicate" in burnish(*every).err
    one = burnish(*every, "--per-task", "1")
    assert len(examples(one.out)) == 1
    assert "more than wanted of a task" in one.err
    size = sum(len(m["content"]) for m in examples(burnish(*every).out)[1]["messages"])
    assert [e["messages"][-1]["content"] for e in examples(burnish(*every, "--max-chars", str(size)).out)] == ["42"]
    direct = examples(burnish(*every, "--what", "direct", "--per-task", "1").out)[0]["messages"]
    assert direct[0] == TASK["messages"][0], "the graph's system text is no part of the task"
    bare = examples(burnish(*every, "--without-examples", "--system", "Add.").out)[0]["messages"]
    assert bare[:2] == [{"role": "system", "content": "Add."}, {"role": "user", "content": TASK["prompt"]}]
    assert examples(burnish(*every, "--system", "").out)[0]["messages"][0]["role"] == "user"


async def dialogue(last="Final Answer: 42", task=TASK):
    """A run of two turns: a query, a document, the answer alone as the candidate."""

    async def node(state, runtime):
        ctx = runtime.context
        turns = [Message("system", "Search."), Message("user", "Question: 3 + 4?"), Message("assistant", "Final Answer: 7")]
        turns.append(Message("user", f"Question: {ctx.task.prompt}"))
        query = await ctx.generate(Prompt(tuple(turns)), key="0")
        turns += [Message("assistant", query.text), Message("user", "Retrieved Document_1: 17 + 25 is 42.")]
        said = await ctx.generate(Prompt(tuple(turns)), key="1")
        made = await ctx.add(replace(said, text="42", token_ids=None), key="answer")
        await ctx.generate("Was that well said?", key="2")
        return {"answer": made.text, "candidate_id": made.id}

    replies = iter(["Initial Query: sum", last, "yes"])
    async with Session(ScriptedEngine(lambda _: next(replies)), store="sqlite:///burnish.db") as session:
        return await session.run(one_node("auto_rag", node), task)


async def test_a_dialogue_is_the_request_that_was_answered_and_the_whole_reply(burnish):
    result = await dialogue()
    (example,) = examples(burnish("export", "sft", result.run_id, "--what", "dialogues", "--without-examples").out)
    assert example["messages"] == [
        {"role": "system", "content": "Search."},
        {"role": "user", "content": f"Question: {TASK['prompt']}"},
        {"role": "assistant", "content": "Initial Query: sum"},
        {"role": "user", "content": "Retrieved Document_1: 17 + 25 is 42."},
        {"role": "assistant", "content": "Final Answer: 42"},
    ]
    (whole,) = examples(burnish("export", "sft", "--all", "--what", "dialogues").out)
    assert len(whole["messages"]) == 7
    (direct,) = examples(burnish("export", "sft", "--all", "--what", "direct").out)
    assert direct["messages"][-2:] == [
        {"role": "user", "content": TASK["prompt"]},
        {"role": "assistant", "content": "42"},
    ]


async def test_a_dialogue_with_a_wrong_answer_is_left_out(burnish):
    await dialogue(task={**TASK, "reference": 43})
    done = burnish("export", "sft", "--all", "--what", "dialogues")
    assert (done.out, done.err) == ("", "left out: 1 not accepted\n")


async def test_an_answer_at_once_is_no_dialogue(burnish):
    await search(replies=["42"])
    done = burnish("export", "sft", "--all", "--what", "dialogues")
    assert (done.out, done.err) == ("", "left out: 1 answered at once\n")


async def test_what_was_cut_or_made_by_no_call_is_no_example(burnish):
    verifier = AnswerMatch(judges_truncated=True)

    async def node(state, runtime):
        ctx = runtime.context
        made = await ctx.add(Completion(text="42"), key="free")
        cut = await ctx.add(Completion(text="42", finish_reason="length"), key="cut")
        for one in (made, cut):
            await ctx.verify(verifier, one)
        return {"answer": made.text, "candidate_id": made.id}

    async with Session(ScriptedEngine("x"), store="sqlite:///burnish.db") as session:
        await session.run(one_node("made", node), {**TASK, "grader": None})
    done = burnish("export", "sft", "--all")
    (example,) = examples(done.out)
    assert example["messages"][-2]["content"] == TASK["prompt"]
    assert "left out: 1 cut" in done.err
    assert "left out: 1 made by no call" in burnish("export", "sft", "--all", "--what", "dialogues").err


async def test_a_failed_run_gives_nothing(burnish):
    async def node(state, runtime):
        raise RuntimeError("broken")

    async with Session(ScriptedEngine("x"), store="sqlite:///burnish.db") as session:
        with pytest.raises(BurnishError, match="broken"):
            await session.run(one_node("broken", node), TASK)
    assert burnish("export", "sft", "--all").err == "left out: 1 run failed\n"


async def test_a_file_is_whole_or_not_there_and_never_written_over(burnish):
    await search()
    every = ("export", "sft", "--all", "--accepted-by", "verifier")
    done = burnish(*every, "--out", "train.jsonl", "--json")
    assert (done.data["examples"], done.data["left_out"]) == (3, {"not accepted": 1})
    text = Path("train.jsonl").read_text()
    assert text.isascii()
    assert text == burnish(*every).out
    assert burnish(*every, "--out", "train.jsonl").status == 2
    assert burnish(*every, "--out", "nowhere/x.jsonl").status == 2
    assert burnish("export", "sft").status == 2
    database = sqlite3.connect("burnish.db")
    database.execute("DELETE FROM blob WHERE sha IN (SELECT text_sha FROM candidate)")
    database.commit()
    database.close()
    assert burnish(*every, "--out", "half.jsonl").status == 6
    assert list(Path().glob("half*")) == []


async def test_the_file_is_loaded_by_the_libraries_that_train(burnish):
    datasets = pytest.importorskip("datasets")
    await search()
    burnish("export", "sft", "--all", "--accepted-by", "verifier", "--out", "train.jsonl")
    loaded = datasets.Dataset.from_json("train.jsonl", cache_dir="cache")
    assert loaded.num_rows == 3
    assert loaded[0]["messages"][-1] == {"role": "assistant", "content": "It is 42"}


@pytest.mark.filterwarnings("default")  # of libraries that are not ours
async def test_a_step_of_lora_on_it_lowers_the_loss(burnish):
    peft, torch, transformers = (pytest.importorskip(name) for name in ("peft", "torch", "transformers"))
    folder = stored(DEFAULT_MODEL)
    if not folder.ready:
        pytest.skip(f"{DEFAULT_MODEL} is not on this machine: burnish models pull")
    await search()
    (example, *_) = examples(burnish("export", "sft", "--all", "--accepted-by", "verifier").out)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder.path)
    model = transformers.AutoModelForCausalLM.from_pretrained(folder.path, dtype=torch.float32)
    model = peft.get_peft_model(model, peft.LoraConfig(r=4, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM"))
    ids = tokenizer.apply_chat_template(example["messages"], return_tensors="pt", return_dict=True)["input_ids"]
    optimizer = torch.optim.AdamW((p for p in model.parameters() if p.requires_grad), lr=1e-3)
    losses = []
    for _ in range(3):
        loss = model(input_ids=ids, labels=ids).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[0]


async def test_a_search_of_ones_own_is_exported_too(burnish):
    replies = iter(REPLIES)
    graph = one_node("mine", search_node(BestOfN(4, stop_at_pass=False), Solver(), "task", width=1))
    async with Session(ScriptedEngine(lambda _: next(replies)), store="sqlite:///burnish.db") as session:
        await session.run(graph, {**TASK, "grader": None})
    assert len(examples(burnish("export", "sft", "--all").out)) == 3


def test_the_commands_of_the_page_work(burnish):
    Path("tasks.jsonl").write_text(re.search(r"```json\n(.*?)```", PAGE, re.S)[1])
    for command in re.findall(r"^    \$ burnish (.+)$", PAGE, re.M):
        done = burnish(*shlex.split(command))
        assert done.status == 0, done.err
    found = examples(Path("train.jsonl").read_text())
    assert {e["metadata"]["task_id"] for e in found} == {"sum", "product"}
    assert {e["messages"][-1]["content"] for e in found} == {"42", "48"}
    assert check_settings(BUILTIN["auto_rag"], {"corpus": "wiki", "k": 1, "format": "trained"})
    for name in (*found[0]["metadata"], *get_args(What), *get_args(By)[1:]):
        assert f"`{name}`" in PAGE, name
