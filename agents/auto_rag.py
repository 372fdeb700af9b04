"""Auto-RAG (arXiv 2411.19443): the model plans what to look up, reads what was found, and asks again or answers.

The dialogue is the prompt: the question, then in turn the model's own words and one `Retrieved Document_t` for each round. A
round shows only what was found in it, so that nothing stands there twice and the engine's prefix cache holds all but the newest.

`trained` has the form of the dialogues that the authors' checkpoint was trained on: no examples, of each passage the last line,
nothing where nothing was found. Its system text says in our words what theirs says, which can be given as `system`. `few_shot`
is for any chat model: rules and two worked examples of our own, titles before passages, and words for there being none.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Literal, TypeAlias, cast

from ..core.context import Context
from ..core.prompt import Message, Prompt, Role
from ..core.sampling import Sampling
from .auto_rag_labels import read
from .passages import MOST_CHARACTERS, NOTHING, clipped
from .reader import corrected
from .rounds import Answer, Move, Problem, Query, Round, Turn
from .templates import fill, load

Format: TypeAlias = Literal["few_shot", "trained"]

_TURN = re.compile(r"^## (user|assistant)[ \t]*\n", re.MULTILINE)
_QUOTED = 2000
"""Most characters of an unreadable reply that are shown to the model again."""
_ENOUGH = "Nothing more can be searched for. Give the Final Answer from what you know by now."
_LINE = r"[^\n]{1,300}"


@dataclass(frozen=True, kw_only=True)
class AutoRag:
    """The one role of Auto-RAG."""

    format: Format = "few_shot"
    system: str = ""
    """System text; empty for the format's own."""
    sampling: Sampling = field(default_factory=lambda: Sampling(max_tokens=200, temperature=0.0))
    """Settings under which the task's own go."""
    role: str = "proposer"
    """Role whose engine speaks."""
    passage_chars: int = MOST_CHARACTERS
    """Characters of one passage that are shown."""
    structured: bool = False
    """Whether to have the labels enforced where the engine can. A weak model then fills lines that it has nothing to say on."""
    shots: str = field(default_factory=lambda: load("auto_rag_shots"))
    """Worked examples for `few_shot`: turns below headings `## user` and `## assistant`."""
    again: str = field(default_factory=lambda: load("auto_rag_again"))
    """What is said of a reply that could not be read: fields `problem`, `query`."""

    async def step(self, ctx: Context, turn: Turn) -> Move:
        """One turn of the model's."""
        sampling = self.sampling.but(**ctx.task.sampling)
        if self.structured and ctx.engine(self.role).info.capabilities.regex:
            sampling = sampling.but(regex=_form(turn))
        said = await ctx.generate(self.prompt(ctx, turn), sampling, role=self.role, key="call")
        found = read(said.text, cut=said.finish_reason in ("length", "aborted"))
        match found.kind:
            case "query":
                return Query(text=found.text, said=found.said, tokens=said.tokens)
            case "answer":
                return Answer(text=found.text, completion=said, said=found.said, tokens=said.tokens)
            case "nothing":
                return Problem(reason=found.text, said=found.said, tokens=said.tokens)

    def prompt(self, ctx: Context, turn: Turn) -> Prompt:
        """The whole dialogue."""
        trained = self.format == "trained"
        system = self.system or load("auto_rag_trained" if trained else "auto_rag")
        messages = [Message("system", system), *(() if trained else examples(self.shots)), *ctx.task.messages]
        messages.append(Message("user", f"Question: {turn.question.strip()}"))
        for n, one in enumerate(turn.rounds, 1):
            messages.append(Message("assistant", one.said or f"Initial Query: {one.query}"))
            messages.append(Message("user", f"Retrieved Document_{n}: {self.document(one)}".rstrip(" ")))
        query = "Refined Query" if turn.rounds else "Initial Query"
        messages += corrected(((p.said, fill(self.again, problem=p.reason, query=query)) for p in turn.problems), _QUOTED)
        if turn.must:
            messages[-1] = Message("user", f"{messages[-1].text}\n\n{_ENOUGH}")
        return Prompt(tuple(messages))

    def document(self, one: Round) -> str:
        """What a round shows."""
        if one.source == "recall":
            return clipped(one.recalled, self.passage_chars) or ("" if self.format == "trained" else NOTHING)
        if self.format == "trained":
            return " ".join(clipped(h.text.strip().rsplit("\n", 1)[-1], self.passage_chars) for h in one.hits).strip()
        texts = (f"[{h.title}] " * bool(h.title) + clipped(h.text, self.passage_chars) for h in one.hits)
        return "\n".join(texts) or NOTHING


@cache
def examples(text: str) -> Sequence[Message]:
    """Turns written below headings `## user` and `## assistant`."""
    parts = _TURN.split(text)[1:]
    return tuple(Message(cast("Role", role), said.strip()) for role, said in zip(parts[::2], parts[1::2], strict=True))


def _form(turn: Turn) -> str:
    """The regular expression of a turn."""
    if not turn.rounds:
        head, query = "Analysis", "Initial Query"
    else:
        head, query = f"Intermediate Answer_{len(turn.rounds)}", "Refined Query"
    ends = "Final Answer" if turn.must else f"({query}|Final Answer)"
    return rf"{head}: {_LINE}\n{ends}: {_LINE}"
