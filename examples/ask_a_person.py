"""A person in the loop: a model drafts, a person approves or says what is wrong, the model revises.

    burnish run examples/ask_a_person.py:graph "Invite the team to lunch." --engine scripted

The run ends as `waiting`, with exit status 8. The person takes his time; nothing runs meanwhile. Then:

    burnish runs list --status waiting
    burnish runs answer ID --approve
    burnish runs answer ID --reject --text "say where"
"""

from typing import TypedDict

from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime

from burnish import Candidate, Context, Solver


class State(TypedDict, total=False):
    """The graph's state; it holds the draft that is being looked at."""

    prompt: str
    draft: Candidate
    approved: bool
    remark: str
    round: int
    answer: str | None
    candidate_id: str | None


def graph(rounds: int = 3) -> StateGraph:
    """Draft, ask, and at most `rounds` times revise and ask again. What nobody approves is no answer."""
    solver = Solver()

    async def draft(state: State, runtime: Runtime[Context]) -> State:
        return {"draft": await runtime.context.add(await solver(runtime.context)), "round": 0}

    async def ask(state: State, runtime: Runtime[Context]) -> State:
        draft = state["draft"]
        reply = await runtime.context.ask("Shall this be sent?", kind="approve", about=draft.text)
        sent = (draft.text, draft.id) if reply.approved else (None, None)
        return {"approved": reply.approved, "remark": reply.text, "answer": sent[0], "candidate_id": sent[1]}

    async def revise(state: State, runtime: Runtime[Context]) -> State:
        ctx, old = runtime.context, state["draft"]
        wish = state["remark"] or "Make it better."
        prompt = f"{ctx.task.prompt}\n\nAn earlier draft was:\n{old.text}\n\nA reader said:\n{wish}\n\nWrite it again."
        completion = await ctx.generate(prompt, solver.settings(ctx))
        return {"draft": await ctx.add(completion, kind="refine", parents=[old]), "round": state["round"] + 1}

    def go_on(state: State) -> str:
        return END if state["approved"] or state["round"] >= rounds else "revise"

    builder = StateGraph(State, context_schema=Context)
    for name, node in (("draft", draft), ("ask", ask), ("revise", revise)):
        builder.add_node(name, node)
    builder.add_edge(START, "draft")
    builder.add_edge("draft", "ask")
    builder.add_conditional_edges("ask", go_on, ["revise", END])
    builder.add_edge("revise", "ask")
    return builder
