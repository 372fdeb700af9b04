"""`burnish init`: a project that runs at once. Nothing is ever overwritten."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..core.errors import ConfigError
from .options import AsJson
from .output import emit, say, show
from .project import FILE

_CONFIG = """\
# Defaults of this project. Flags and BURNISH_* variables go before them.
engine = "vllm"                   # "scripted" needs no model: it pretends to solve easy tasks
store = "sqlite:///burnish.db"
concurrency = 16

[budget]                          # limits of each run
calls = 64

[engines.vllm]
# model = "Qwen/Qwen3-8B"         # any model that vLLM serves; without it the default model

[graphs.best_of_n]                # settings of a graph: burnish graphs show best_of_n
n = 8
max_tokens = 128

[graphs."graph.py:graph"]
n = 4
"""

_GRAPH = '''\
"""A graph of one's own: draft several answers, have them judged, rewrite the best one if none passed.

    burnish run graph.py:graph --tasks tasks.jsonl
"""

from typing import TypedDict

from burnish import BestOfN, Context, Sampling, Solver, Verdict, run_search
from burnish.core.policy import Expansion
from burnish.core.proposer import Proposal
from burnish.graphs.nodes import task_verifier
from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime


class State(TypedDict, total=False):
    prompt: str
    answer: str | None
    candidate_id: str | None


def graph(n: int = 4, max_tokens: int = 96) -> StateGraph:
    """Draft n answers, then rewrite the best one under the verifier's feedback unless it passed."""
    solver = Solver(sampling=Sampling(max_tokens=max_tokens))

    async def draft(state: State, runtime: Runtime[Context]) -> State:
        ctx = runtime.context
        found = await run_search(ctx, BestOfN(n), solver, task_verifier(ctx))
        best = found.candidate
        return {"answer": best.text if best else None, "candidate_id": best.id if best else None}

    async def rewrite(state: State, runtime: Runtime[Context]) -> State:
        ctx = runtime.context
        draft = ctx.run.candidates[str(state["candidate_id"])]
        proposal = Proposal(expansion=Expansion(id="rewrite", kind="refine"), parents=(draft,), verdicts=(said(ctx, draft.id),))
        completion = await solver.propose(ctx, proposal)
        better = await ctx.add(completion, kind="refine", parents=[draft])
        verifier = task_verifier(ctx)
        verdict = await ctx.verify(verifier, better) if verifier else None
        if verdict and verdict.outcome != "pass":
            return {}
        return {"answer": better.text, "candidate_id": better.id}

    def needed(state: State, runtime: Runtime[Context]) -> str:
        verdict = said(runtime.context, state.get("candidate_id"))
        return "rewrite" if verdict and verdict.outcome == "fail" else END

    builder = StateGraph(State, context_schema=Context)
    builder.add_node("draft", draft)
    builder.add_node("rewrite", rewrite)
    builder.add_edge(START, "draft")
    builder.add_conditional_edges("draft", needed, ["rewrite", END])
    builder.add_edge("rewrite", END)
    return builder


def said(ctx: Context, candidate_id: str | None) -> Verdict | None:
    """What the verifier said of a candidate."""
    return ctx.run.verdicts.get(str(candidate_id))
'''

_TASKS = """\
{"id": "sum", "prompt": "What is 17 + 25? Answer with the number only.", "verifier": {"name": "numeric", "expected": 42}}
{"id": "product", "prompt": "What is 6 * 7 + 1? Answer with the number only.", "reference": 43, "verifier": "numeric"}
{"id": "repeat", "prompt": "Repeat exactly, without quotes: \\"the cat sat\\"", "reference": "the cat sat", "verifier": "exact"}
{"id": "word", "prompt": "Name one colour, in lower case. For example \\"blue\\"", "verifier": "regex:^[a-z]+[.]?$"}
"""

FILES = {FILE: _CONFIG, "graph.py": _GRAPH, "tasks.jsonl": _TASKS}


def init(
    folder: Annotated[Path, typer.Argument(metavar="[FOLDER]", help="Made if it is missing.", show_default="here")] = Path("."),
    as_json: AsJson = False,
) -> int:
    """Write burnish.toml, graph.py and tasks.jsonl, which run at once. Files that exist are left alone.

    With --json, data is {folder, written: [...], kept: [...]}.
    """
    written: list[str] = []
    kept: list[str] = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in FILES.items():
            try:
                with (folder / name).open("x", encoding="utf-8") as file:
                    file.write(text)
                written.append(name)
            except FileExistsError:
                kept.append(name)
    except OSError as e:
        raise ConfigError(f"{folder} cannot be written: {e.strerror}", hint="give another folder") from None
    if as_json:
        emit({"folder": str(folder), "written": written, "kept": kept})
        return 0
    for name in written:
        show(str(folder / name))
    if kept:
        say(f"left as they were: {', '.join(kept)}")
    say("try it:" + ("" if folder == Path(".") else f" cd {folder}, then"))
    say("  burnish run graph.py:graph --tasks tasks.jsonl --engine scripted   (no model needed)")
    say("  burnish run best_of_n --tasks tasks.jsonl")
    say("  burnish runs")
    return 0
