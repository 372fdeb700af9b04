r"""An agent with two tools. What a tool does is an effect: on resume its recorded value is used, it is not called again.

    burnish run examples/tools.py:graph "How old is the oldest tree in the garden, in days?" \
        --engine scripted --engine-arg replies=examples/tools.py:script

`script` plays the model, so that the example runs anywhere; leave the engine's arguments away to ask a real one.
"""

import ast
import operator
import re
from typing import TypedDict

from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime

from burnish import Context, Message, Prompt, Sampling

SYSTEM = """Answer with one line. Either call a tool:
lookup: NAME
compute: EXPRESSION
or give the result:
answer: TEXT"""

FACTS = {"oldest tree": "The oldest tree in the garden is an oak of 212 years.", "garden": "The garden has 31 trees."}
OPERATORS = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv}


class State(TypedDict, total=False):
    prompt: str
    dialogue: list[tuple[str, str]]
    turns: int
    answer: str


async def lookup(name: str) -> str:
    """A stand-in for a search service."""
    return next((fact for key, fact in FACTS.items() if key in name.lower()), "nothing found")


async def compute(expression: str) -> str:
    """Arithmetic, parsed and never evaluated as Python."""

    def value(node: ast.expr) -> float:
        match node:
            case ast.Constant(value=int() | float() as number):
                return number
            case ast.BinOp(left=left, op=op, right=right) if type(op) in OPERATORS:
                return OPERATORS[type(op)](value(left), value(right))
        raise ValueError("only numbers, + - * /")

    try:
        return f"{value(ast.parse(expression.strip()[:200], mode='eval').body):g}"
    except (ValueError, SyntaxError, ZeroDivisionError, RecursionError) as e:
        return f"cannot compute: {e}"


TOOLS = {"lookup": lookup, "compute": compute}


def script(call) -> str:
    """What a good model would say at each turn."""
    said = call.text
    if "how old" in said.lower():
        return "lookup: oldest tree"
    years = re.search(r"(\d+) years", said)
    return f"compute: {years[1]} * 365" if years else f"answer: about {said} days"


def graph(turns: int = 6) -> StateGraph:
    """Ask the model, do what it asks for, until it answers or `turns` are over."""

    async def think(state: State, runtime: Runtime[Context]) -> State:
        ctx = runtime.context
        said = [Message("assistant" if who == "model" else "user", text) for who, text in state.get("dialogue", [])]
        prompt = Prompt((Message("system", SYSTEM), Message("user", state["prompt"]), *said))
        line = (await ctx.generate(prompt, Sampling(max_tokens=64, stop=("\n",)))).text.strip()
        turn = state.get("turns", 0) + 1
        verb, _, rest = line.partition(":")
        if verb.strip() == "answer" or turn >= turns:
            return {"answer": rest.strip() or line, "turns": turn}
        return {"dialogue": [*state.get("dialogue", []), ("model", line)], "turns": turn}

    async def act(state: State, runtime: Runtime[Context]) -> State:
        verb, _, rest = state["dialogue"][-1][1].partition(":")
        tool = TOOLS.get(verb.strip())
        if tool is None:
            result = "there is no such tool"
        else:
            result = await runtime.context.effect(verb.strip(), rest.strip(), lambda: tool(rest))
        return {"dialogue": [*state["dialogue"], ("tool", result)]}

    builder = StateGraph(State, context_schema=Context)
    builder.add_node("think", think)
    builder.add_node("act", act)
    builder.add_edge(START, "think")
    builder.add_conditional_edges("think", lambda s: END if "answer" in s else "act", ["act", END])
    builder.add_edge("act", "think")
    return builder
