"""IterDRAG (arXiv 2410.04343): the question is taken apart by sub-questions, each searched for and answered, as in Self-Ask.

Every line of the model's begins with a label:

    Follow up: ...                    a sub-question; what it finds is added to the documents
    Intermediate answer: ...          its answer
    So the final answer is: ...       the end

A line stands for one call. Which labels may follow is narrower than in the paper, which takes any of the three: behind a
`Follow up` comes its answer or the end, elsewhere another `Follow up` or the end, so that n sub-questions take at most 2n + 1
calls. Labels are enforced where the engine can; elsewhere a line with another beginning is shown to the model again. Once no
more may be searched for, the prompt itself ends with the final label.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from ..core.completion import Completion, TokenCounts
from ..core.context import Context
from ..core.sampling import Sampling
from .demonstrations import Demonstration
from .drag import DOCUMENT_WORDS, documents_block, worked
from .reader import answered, asked, was_cut
from .rounds import Move, Problem, Query, Round, Turn
from .templates import fill, load

FOLLOW_UP, INTERMEDIATE, FINAL = "Follow up", "Intermediate answer", "So the final answer is"
Labels: TypeAlias = tuple[str, ...]
_BEHIND_QUERY: Labels = (INTERMEDIATE, FINAL)
_ELSEWHERE: Labels = (FOLLOW_UP, FINAL)
MOST_REPLY = 16_000
"""Characters of a reply that are read."""
_LABEL = re.compile(rf"[ \t>*_#-]{{0,8}}({FOLLOW_UP}|{INTERMEDIATE}|{FINAL})[ *_]{{0,4}}:[ \t*_]*", re.IGNORECASE | re.ASCII)
_NAMES = {name.lower(): name for name in (FOLLOW_UP, INTERMEDIATE, FINAL)}
_LINE = r"[^\n]{1,300}"


@dataclass(frozen=True, kw_only=True)
class Line:
    """A line that could be read."""

    label: str
    text: str
    """What stands behind the label."""
    cut: bool = False
    """Whether it was cut at the token limit."""

    def __str__(self) -> str:
        return f"{self.label}: {self.text}"


@dataclass(frozen=True)
class _Failed:
    """A reply of this turn that could not be read."""

    behind: str
    """The intermediate answer that stands before it; empty if there is none."""
    reply: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class IterDrag:
    """Asks sub-questions, answers them, and ends."""

    documents: int = 5
    """Most documents that an example shows for each of its questions; 0 leaves documents out everywhere."""
    shots: Sequence[Demonstration] = ()
    """Worked examples, shown in this order."""
    system: str = ""
    """System text; empty for none."""
    sampling: Sampling = field(default_factory=lambda: Sampling(max_tokens=128, temperature=0.0))
    """Settings under which the task's own go."""
    role: str = "proposer"
    """Role whose engine speaks."""
    document_words: int = DOCUMENT_WORDS
    """Words of one document that are shown."""
    structured: bool = True
    """Whether to have the labels enforced where the engine can."""
    instruction: str = field(default_factory=lambda: load("iter_drag"))
    """What the prompt begins with."""
    again: str = field(default_factory=lambda: load("iter_drag_again"))
    """What is said of a line that could not be read: fields `problem`, `labels`."""

    async def step(self, ctx: Context, turn: Turn) -> Move:
        """The answer to the last sub-question, if there was one, and the line that follows it."""
        lines = [r.said for r in turn.rounds if r.said]
        failed = [_failed(problem, bool(lines)) for problem in turn.problems]
        behind, tokens, calls = failed[-1].behind if failed else "", TokenCounts(), 0
        if lines and not behind:
            said = await self._call(ctx, turn, lines, _BEHIND_QUERY, [f for f in failed if not f.behind], key="intermediate")
            line = read(said.text, _BEHIND_QUERY, cut=was_cut(said))
            if isinstance(line, str) or line.label == FINAL:
                return _move(said, line, tokens=said.tokens, calls=1)
            behind, tokens, calls = str(line), said.tokens, 1
        legal = (FINAL,) if turn.must else _ELSEWHERE
        lines = [*lines, behind] if behind else lines
        said = await self._call(ctx, turn, lines, legal, [f for f in failed if f.behind == behind], key="call")
        line = read(said.text, legal, cut=was_cut(said), begun=turn.must)
        return _move(said, line, tokens=tokens + said.tokens, calls=calls + 1, behind=behind)

    async def _call(
        self, ctx: Context, turn: Turn, lines: Sequence[str], legal: Labels, failed: Sequence[_Failed], *, key: str
    ) -> Completion:
        sampling = self.sampling.but(**ctx.task.sampling)
        # Where only the end may follow, its label stands in the prompt already.
        if self.structured and len(legal) > 1 and ctx.engine(self.role).info.capabilities.regex:
            sampling = sampling.but(regex=f"({'|'.join(legal)}): {_LINE}")
        prompt = asked(ctx, self.system, self.text(turn, lines, legal), [self._corrected(one, legal) for one in failed])
        return await ctx.generate(prompt, sampling, role=self.role, key=key)

    def _corrected(self, failed: _Failed, legal: Labels) -> tuple[str, str]:
        labels = " or ".join(f"`{label}:`" for label in legal)
        return failed.reply, fill(self.again, problem=failed.reason, labels=labels)

    def text(self, turn: Turn, lines: Sequence[str], legal: Labels) -> str:
        """Instruction, examples, documents, question and its lines so far; where only the end may follow, its label is last."""
        shots = [self._block(s.question, worked(s, self.documents), _lines(s)) for s in self.shots]
        lines = [*lines, f"{FINAL}:"] if legal == (FINAL,) else lines
        return "\n\n".join([self.instruction, *shots, self._block(turn.question, turn.rounds, lines)])

    def _block(self, question: str, rounds: Sequence[Round], lines: Sequence[str]) -> str:
        documents = documents_block(rounds, self.document_words) if self.documents else ""
        return documents + "\n".join([f"Question: {question.strip()}", *lines])


def read(reply: str, legal: Labels, *, cut: bool = False, begun: bool = False) -> Line | str:
    """The line that a reply begins with, or what is wrong with it.

    `cut` says that the reply ended at its token limit, `begun` that the label stood in the prompt already.
    """
    cut, reply = cut or len(reply) > MOST_REPLY, reply[:MOST_REPLY].strip()
    found = _LABEL.match(reply)
    if found is None and not (begun and reply):
        return f"it does not begin with {' or '.join(legal)}"
    label = _NAMES[found[1].lower()] if found else FINAL
    if label not in legal:
        return f"{label} is out of place here"
    text, more, _ = (reply[found.end() :] if found else reply).strip().partition("\n")
    if not (text := text.strip(" \t*_")):
        return f"nothing stands behind {label}"
    return Line(label=label, text=text, cut=cut and not more)


def _move(said: Completion, line: Line | str, *, tokens: TokenCounts, calls: int, behind: str = "") -> Move:
    before = f"{behind}\n" if behind else ""
    if isinstance(line, str):
        return Problem(reason=line, said=before + said.text, tokens=tokens, calls=calls)
    if line.label == FOLLOW_UP:  # One that was cut is searched for all the same.
        return Query(text=line.text, said=before + str(line), tokens=tokens, calls=calls)
    return answered(said, line.text, cut=line.cut, tokens=tokens, calls=calls, before=behind)


def _failed(problem: Problem, follows_query: bool) -> _Failed:
    """A turn that follows a sub-question and begins with its answer was read so far: that is not asked for again."""
    line = read(problem.said, (INTERMEDIATE,)) if follows_query else ""
    behind = str(line) if isinstance(line, Line) else ""
    return _Failed(behind, problem.said.removeprefix(f"{behind}\n") if behind else problem.said, problem.reason)


def _lines(shot: Demonstration) -> list[str]:
    steps = [line for s in shot.steps for line in (f"{FOLLOW_UP}: {s.query}", f"{INTERMEDIATE}: {s.answer}")]
    return [*steps, f"{FINAL}: {shot.answer}"]
