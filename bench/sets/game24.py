"""Game of 24: make 24 out of four numbers.

The prompt is the five-example form of the Tree of Thoughts paper (input and output only), its examples as chat turns. A puzzle
that is among the examples is asked without that example.
"""

from __future__ import annotations

from pathlib import Path

from ...core.prompt import Message
from ...core.task import Task
from .functions import grader, verifier
from .graders_game24 import TARGET, game24_check, game24_grade
from .registry import TaskSet
from .rows import Row, table_rows

PROMPT = (
    "Use the four numbers {} and basic arithmetic operations (+ - * /) to obtain 24. "
    "Use each number exactly once. Reply with the expression only."
)
EXAMPLES = {
    "4 4 6 8": "(4 + 8) * (6 - 4) = 24",
    "2 9 10 12": "2 * 12 * (10 - 9) = 24",
    "4 9 10 13": "(13 - 9) * (10 - 4) = 24",
    "1 4 8 8": "(8 / 4 + 1) * 8 = 24",
    "5 5 5 9": "5 + 5 + 5 + 9 = 24",
}
"""The worked examples: puzzle and solution."""
MAX_TOKENS = 64


def load(folder: Path | None, seed: int) -> list[Task]:
    """The puzzles, easiest for people first; a puzzle's id is its rank. Ranks 901 to 1000 are what the paper uses."""
    assert folder is not None
    return [_task(row) for row in table_rows(folder / "24.csv", ("Rank", "Puzzles", "Solved rate"))]


def _task(row: Row) -> Task:
    puzzle = " ".join(row.text("Puzzles").split())
    rank, rate = row.text("Rank").strip(), row.text("Solved rate").strip().removesuffix("%")
    try:
        numbers, solved = [int(number) for number in puzzle.split()], float(rate) / 100
    except ValueError:
        raise row.error("a puzzle is four whole numbers, a solved rate a percentage") from None
    if len(numbers) != 4 or min(numbers) < 0 or not rank.isdecimal():
        raise row.error("a puzzle is four whole numbers, with a rank")
    shots = [(one, answer) for one, answer in EXAMPLES.items() if one != puzzle]
    return Task(
        prompt=PROMPT.format(puzzle),
        id=f"game24/{rank}",
        messages=tuple(m for one, answer in shots for m in (Message("user", PROMPT.format(one)), Message("assistant", answer))),
        reference=TARGET,
        context={"numbers": numbers},
        grader=grader(game24_grade),
        verifier=verifier(game24_check),
        extract="first_line",
        sampling={"max_tokens": MAX_TOKENS},
        metadata={"set": "game24", "rank": int(rank), "solved_rate": round(solved, 4)},
    )


GAME24 = TaskSet(
    name="game24",
    about="arithmetic puzzles: reach 24 with four numbers, each used once",
    source="github princeton-nlp/tree-of-thought-llm, commit ab40034, src/tot/data/24/24.csv",
    licence="MIT",
    needs_data=True,
    size=1362,
    load=load,
    files=("24.csv",),
)
"""All puzzles that have a solution."""
