"""IRCoT (arXiv 2212.10509): one sentence of reasoning, a search with that sentence, the next sentence.

The passages of all searches are shown in the order of their best score, at most so many, the best one last. A sentence with
`answer is` ends the reasoning: what stands behind it is the answer. Once no more may be searched for, the prompt itself ends
with `So the answer is:`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from ..core.context import Context
from ..core.sampling import Sampling
from ..retrieval.passage import Hit
from .demonstrations import Demonstration
from .drag import worked
from .passages import MOST_CHARACTERS, listed
from .reader import answered, asked, was_cut
from .rounds import Move, Problem, Query, Turn, shown
from .templates import fill, load

ANSWER = "So the answer is:"
MOST_REPLY = 16_000
"""Characters of a reply that are read."""
_EXIT = re.compile(r"\banswer is\b[ \t*_]{0,4}:?(.*)", re.IGNORECASE)
_WRAPPED = re.compile(r"\b(answer is[ \t*_]{0,4}:)\s+", re.IGNORECASE)
_END = re.compile(r"[.!?][\"”')\]]{0,2}(?=\s+[\"“'(\[]?[^\W_a-z]|\s*$)")
_ABBREVIATED = re.compile(r"(?:^|[\s(\"“.])(?:[^\W\d_]|Mr|Mrs|Ms|Dr|St|Mt|Prof|Jr|Sr|No|vs|ca|c)\.$")
"""A full stop that ends no sentence: behind an initial or a common abbreviation."""


@dataclass(frozen=True, kw_only=True)
class Ircot:
    """Reasons by one sentence a turn."""

    most: int | None = 15
    """Most passages that are shown; None for all."""
    shots: Sequence[Demonstration] = ()
    """Worked examples, shown in this order: the answers of their steps are the reasoning."""
    documents: int = 6
    """Most documents that an example shows for each of its queries."""
    system: str = ""
    """System text; empty for none."""
    sampling: Sampling = field(default_factory=lambda: Sampling(max_tokens=128, temperature=0.0))
    """Settings under which the task's own go."""
    role: str = "proposer"
    """Role whose engine reasons."""
    passage_chars: int = MOST_CHARACTERS
    """Characters of one passage that are shown."""
    instruction: str = field(default_factory=lambda: load("ircot"))
    """What the prompt begins with."""
    again: str = field(default_factory=lambda: load("ircot_again"))
    """What is said of a reply that was of no use: field `problem`."""

    async def step(self, ctx: Context, turn: Turn) -> Move:
        """The next sentence, as a query, or the answer."""
        corrections = [(p.said, fill(self.again, problem=p.reason)) for p in turn.problems]
        prompt = asked(ctx, self.system, self.text(turn), corrections)
        said = await ctx.generate(prompt, self.sampling.but(**ctx.task.sampling), role=self.role, key="call")
        sentence, more = first_sentence(said.text[:MOST_REPLY])
        cut = not more and (was_cut(said) or len(said.text) > MOST_REPLY)
        answer = answer_of(sentence)
        if answer is None and not turn.must:
            if not sentence:
                return Problem(reason="it is empty", said=said.text, tokens=said.tokens)
            return Query(text=sentence, said=sentence, tokens=said.tokens)  # One that was cut is searched for all the same.
        return answered(said, sentence.rstrip(".") if answer is None else answer, cut=cut, tokens=said.tokens)

    def text(self, turn: Turn) -> str:
        """Instruction, examples, passages, question and the reasoning so far; in the last turn, with the answer begun."""
        shots = [self._example(shot) for shot in self.shots]
        hits = shown(turn.rounds, "merge", "best_last", self.most)
        thoughts = [*(r.said for r in turn.rounds if r.said), *([ANSWER] if turn.must else [])]
        return "\n\n".join([self.instruction, *shots, self._block(hits, turn.question, thoughts)])

    def _example(self, shot: Demonstration) -> str:
        hits = shown(worked(shot, self.documents), "append", "best_last")
        return self._block(hits, shot.question, [*(step.answer for step in shot.steps), f"{ANSWER} {shot.answer}."])

    def _block(self, hits: Sequence[Hit], question: str, thoughts: Sequence[str]) -> str:
        documents = listed(hits, self.passage_chars)
        return f"Documents:\n{documents}\n\nQuestion: {question.strip()}\nReasoning: {' '.join(thoughts)}".rstrip()


def first_sentence(text: str) -> tuple[str, str]:
    """The first sentence of a text, which ends with its line at the latest, and all that follows."""
    line, _, rest = _WRAPPED.sub(r"\1 ", text.strip()).partition("\n")
    for end in _END.finditer(line):
        if not _ABBREVIATED.search(line, max(0, end.start() - 8), end.start() + 1):
            return line[: end.end()].strip(), f"{line[end.end() :]}\n{rest}".strip()
    return line.strip(), rest.strip()


def answer_of(sentence: str) -> str | None:
    """What a sentence gives as the answer, without the full stop that ends it; None if it gives none."""
    found = _EXIT.search(sentence)
    return found[1].strip(' \t*_"“”').removesuffix(".").strip(' \t*_"“”') if found else None
