"""Two agents in a loop: a solver drafts, a critic reads what the verifier rejected, the solver revises.

    burnish run examples/two_agents.py:graph "Name three birds." --engine scripted
    burnish run examples/two_agents.py:graph --tasks tasks.jsonl --set rounds=3

Any LangGraph graph runs in burnish. Its nodes take the run's context; each call and verdict that goes through it is
recorded under the node's position, so that a killed run goes on where it was.
"""

from typing import TypedDict

from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime

from burnish import Candidate, Context, Critic, Prompt, Solver
from burnish.graphs.nodes import task_verifier


class State(TypedDict, total=False):
    candidate: Candidate
    feedback: str
    round: int
    passed: bool
    answer: str
    candidate_id: str


def graph(rounds: int = 2) -> StateGraph:
    """Draft, verify, and at most `rounds` times criticise and revise."""
    solver, critic = Solver(), Critic()

    async def draft(state: State, runtime: Runtime[Context]) -> State:
        ctx = runtime.context
        return {"candidate": await ctx.add(await solver(ctx)), "round": 0}

    async def verify(state: State, runtime: Runtime[Context]) -> State:
        ctx, candidate = runtime.context, state["candidate"]
        verifier = task_verifier(ctx)
        verdict = await ctx.verify(verifier, candidate) if verifier else None
        passed = verdict is not None and verdict.outcome == "pass"
        return {
            "passed": passed,
            "feedback": verdict.feedback if verdict and verdict.outcome == "fail" else "",
            "answer": candidate.text,
            "candidate_id": candidate.id,
        }

    async def criticise(state: State, runtime: Runtime[Context]) -> State:
        said = await critic(runtime.context, state["candidate"])
        return {"feedback": f"{state['feedback']}\n{said}".strip()}

    async def revise(state: State, runtime: Runtime[Context]) -> State:
        ctx, old = runtime.context, state["candidate"]
        text = (
            f"{ctx.task.prompt}\n\nAn earlier answer was:\n{old.text}\n\nIt was criticised:\n{state['feedback']}\n\nAnswer again."
        )
        completion = await ctx.generate(Prompt.of(text), solver.settings(ctx))
        return {"candidate": await ctx.add(completion, kind="refine", parents=[old]), "round": state["round"] + 1}

    def go_on(state: State) -> str:
        return END if state["passed"] or state["round"] >= rounds else "criticise"

    builder = StateGraph(State, context_schema=Context)
    for name, node in (("draft", draft), ("verify", verify), ("criticise", criticise), ("revise", revise)):
        builder.add_node(name, node)
    builder.add_edge(START, "draft")
    builder.add_edge("draft", "verify")
    builder.add_conditional_edges("verify", go_on, ["criticise", END])
    builder.add_edge("criticise", "revise")
    builder.add_edge("revise", "verify")
    return builder
